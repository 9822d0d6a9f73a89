"""What ResNet-50's maximum pool costs on the accelerator, and on the CPU: the table in docs/quantization.md.

Random weights (seeded), one image: cycles, energy and traffic depend on shapes alone; the error is that of
the whole network's integers against fp32, with and without one more rounding in front of the pool.
"""

from __future__ import annotations

import numpy as np
import torch
from resnet50 import ResNet50

import tvm_vsq
from tvm_vsq.hardware import list_targets

ON_CPU = (tvm_vsq.Rule(layers="max_pool2d_0", fp32=True),)


def rows(target: str, model: torch.nn.Module, x: torch.Tensor) -> list[str]:
    """Two rows of a Markdown table."""
    expected, found = model(x).detach().numpy(), []
    config = tvm_vsq.QuantConfig.of_hardware(tvm_vsq.load_hardware(target)).unfitted()
    for where, rules in (("accelerator", ()), ("CPU", ON_CPU)):
        exe = tvm_vsq.compile(
            model,
            target,
            quant=config.model_copy(update={"rules": rules}),
            example_inputs=x,
            calibration=x,
            schedules="default",
        )
        profile = exe.profile(x)
        noise = np.square(profile.outputs.numpy() - expected).sum()
        on_cpu = sum(row.work.bytes for row in exe.explain() if row.work is not None)
        cells = (
            target,
            where,
            f"{profile.cycles:,}",
            f"{profile.energy_pj / 1e9:.2f}",
            f"{profile.dram_bytes / 1e6:.1f}",
            f"{on_cpu / 1e6:.1f}",
            f"{10 * np.log10(np.square(expected).sum() / noise):.1f}",
        )
        found.append(f"| {' | '.join(cells)} |")
    return found


def main() -> None:
    torch.manual_seed(0)
    model, x = ResNet50().eval(), torch.randn(1, 3, 224, 224)
    print("| target | pool on | cycles | energy, mJ | DRAM, MB | CPU operators, MB | SQNR, dB |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for target in list_targets():
        print("\n".join(rows(target, model, x)), flush=True)


if __name__ == "__main__":
    main()
