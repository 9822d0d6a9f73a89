"""What a network on raw sound costs, with its input as it is and packed: the table in docs/quantization.md.

M5 of Dai et al. (https://arxiv.org/abs/1610.00087), with 32 channels as in PyTorch's tutorial on speech
commands, random weights (seeded), 8,000 samples of one channel: cycles and bytes depend on shapes alone, the
error is that of the network's integers against fp32.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

import tvm_vsq
from tvm_vsq.hardware import list_targets


class M5(nn.Module):
    """float32 [N, 1, W] to [N, 35]."""

    def __init__(self) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        for inputs, outputs, taps, stride in ((1, 32, 80, 4), (32, 32, 3, 1), (32, 64, 3, 1), (64, 64, 3, 1)):
            convolution = nn.Conv1d(inputs, outputs, taps, stride)
            stages += [convolution, nn.BatchNorm1d(outputs), nn.ReLU(), nn.MaxPool1d(4)]
        self.stages, self.classifier = nn.Sequential(*stages), nn.Linear(64, 35)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.stages(x).mean(-1))


def row(target: str, model: nn.Module, x: torch.Tensor, thin_inputs: str) -> str:
    """One of a Markdown table."""
    config = tvm_vsq.QuantConfig.of_hardware(tvm_vsq.load_hardware(target)).unfitted()
    config = config.model_copy(update={"thin_inputs": thin_inputs})
    exe = tvm_vsq.compile(
        model, target, quant=config, example_inputs=x[:1], calibration=x, schedules="default"
    )
    profile, expected = exe.profile(x[:1]), model(x[:1]).detach().numpy()
    noise = np.square(profile.outputs.numpy() - expected).sum()
    cells = (
        target,
        "packed" if thin_inputs == "packed" else "as it is",
        f"{profile.layers[0].cycles:,}",
        f"{profile.cycles:,}",
        f"{profile.energy_pj / 1e6:.1f}",
        f"{profile.dram_bytes:,}",
        f"{10 * np.log10(np.square(expected).sum() / noise):.1f}",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    torch.manual_seed(0)
    model, x = M5().eval(), torch.randn(4, 1, 8000)
    print("| target | input | cycles of the first layer | of all | energy, uJ | DRAM bytes | SQNR, dB |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for target in list_targets():
        for thin_inputs in ("model", "packed"):
            print(row(target, model, x, thin_inputs), flush=True)


if __name__ == "__main__":
    main()
