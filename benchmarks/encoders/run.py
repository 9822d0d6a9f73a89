"""What whole transformers cost: cycles, MAC utilization, energy and DRAM traffic, with default schedules.

    python benchmarks/encoders/run.py [--models MiniLM base large decoder] [--tokens 128 384] [--rows 0 2]
    python benchmarks/encoders/run.py --untimed  # without the last two columns, for a machine at work

Prints the tables of docs/encoders.md. Shapes only: weights are random and nothing is fitted, which changes
none of these figures. Everything from the first norm to the last one is on the chip (strict=True); the
embedding is looked up by the host and counted nowhere. Each row is measured in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import onnxruntime
import torch
from shapes import NETWORKS, to_onnx

import tvm_vsq

THREADS = 2
"""Of ONNX Runtime, as many as the simulator has here."""

DRAM_MIB = 512
"""BERT-large in 8 bits does not fit the 256 MiB of shipped targets; no figure of this table has it."""


@dataclass(frozen=True)
class Row:
    """A target, with passes or not, rules, and what is added to sums that are normalized."""

    target: str
    passes: int = 1
    rules: tuple[tvm_vsq.Rule, ...] = ()
    residuals: str = "auto"

    @property
    def hardware(self) -> tvm_vsq.HardwareConfig:
        shipped = tvm_vsq.load_hardware(self.target)
        dram = shipped.dram.model_copy(update={"capacity_mib": DRAM_MIB})
        return shipped.model_copy(update={"precision_passes": self.passes, "dram": dram})

    @property
    def title(self) -> str:
        notation = "mix" if self.rules else self.hardware.notation
        passes = f" +{self.passes}" if self.passes > 1 else ""
        return notation + passes + (", sums in vectors" if self.residuals == "vectors" else "")


ROWS = (
    Row("vsq-accel"),
    Row("vsq-accel", residuals="vectors"),
    Row("vsq-accel", 2, (tvm_vsq.Rule(layers="matmul*", formats="8/8/4/4"),)),
    Row("vsq-accel-w4a8"),
    Row("vsq-accel-w4a8", 2),
    Row("vsq-accel-int8"),
)

COLUMNS = (
    "W/A/ws/as",
    "MACs, M",
    "cycles",
    "MAC util.",
    "array idle",
    "energy, mJ",
    "array",
    "scratchpads",
    "vector unit, PPU",
    "DRAM",
    "rest",
    "DRAM, MB",
    "area, mm2",
)
TIMED = ("run, ms", "ONNX Runtime, ms")
PARTS = {
    "array": ("MACs", "scale units", "accumulators"),
    "scratchpads": ("scratchpads",),
    "vector unit, PPU": ("vector unit", "PPU"),
    "DRAM": ("DRAM", "DRAM idle", "DRAM refresh"),
}
"""Whose energy a column adds up (`Profile.energy_by_part`)."""


def compiled(model: torch.nn.Module, row: Row, given: object) -> tvm_vsq.Executable:
    """For the accelerator, calibrated on what it is given."""
    config = tvm_vsq.QuantConfig.of_hardware(row.hardware).unfitted()
    quant = config.model_copy(update={"rules": row.rules, "residuals": row.residuals})
    return tvm_vsq.compile(
        model,
        row.hardware,
        quant=quant,
        example_inputs=given,
        calibration=[given],
        strict=True,
        schedules="default",
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", choices=NETWORKS, default=["MiniLM", "base"])
    parser.add_argument("--tokens", nargs="+", type=int, default=[128])
    parser.add_argument("--rows", nargs="+", type=int, default=range(len(ROWS)), help="numbers of rows")
    parser.add_argument("--layers", type=int, help="so many layers in place of all")
    parser.add_argument("--untimed", action="store_true", help="run nothing, and leave the times out")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        row = ROWS[arguments.rows[0]]
        cells = line(arguments.models[0], arguments.tokens[0], row, arguments.layers, not arguments.untimed)
        print(f"| {' | '.join(cells)} |")
        return
    columns = COLUMNS if arguments.untimed else (*COLUMNS, *TIMED)
    for name in arguments.models:
        for tokens in arguments.tokens:
            only = f" ({arguments.layers} of these layers)" if arguments.layers else ""
            print(f"\n### {NETWORKS[name].what}{only}; {tokens} tokens\n", flush=True)
            print(f"| {' | '.join(columns)} |")
            print(f"| --- |{' ---: |' * (len(columns) - 1)}", flush=True)
            for number in arguments.rows:
                if name == "decoder" and ROWS[number].residuals == "vectors":
                    continue  # its one stream of sums is read by norms, and by the next sums
                own = ["--models", name, "--tokens", str(tokens), "--rows", str(number), "--one"]
                own += ["--layers", str(arguments.layers)] if arguments.layers else []
                own += ["--untimed"] if arguments.untimed else []
                subprocess.run([sys.executable, __file__, *own], check=True)


def line(name: str, tokens: int, row: Row, layers: int | None, timed: bool) -> list[str]:
    """A row of the table."""
    warnings.simplefilter("ignore")
    model = NETWORKS[name].model(layers)
    ids = torch.randint(0, 1000, (1, tokens))
    exe = compiled(model, row, (ids,))
    profile = exe.timing()
    busy = sum(layer.busy["compute"] for layer in profile.layers)
    cells = [
        row.title,
        f"{sum(layer.macs for layer in profile.layers) / 1e6:,.0f}",
        f"{profile.cycles:,}",
        f"{profile.utilization:.1%}",
        f"{1 - busy / profile.cycles:.1%}",
        f"{profile.energy_pj * 1e-9:.2f}",
        *shares(profile),
        f"{profile.dram_bytes / 1e6:.1f}",
        f"{row.hardware.area('open-45nm').mm2:.2f}",
    ]
    if not timed:
        return cells
    simulated, fp32 = in_turns(partial(exe, ids), model, ids)
    return [*cells, f"{simulated * 1e3:.0f}", f"{fp32 * 1e3:.0f} (x {simulated / fp32:.1f})"]


def shares(profile: Any) -> list[str]:
    """Of the energy, by part."""
    parts = profile.energy_by_part()
    found = [sum(parts.get(part, 0.0) for part in names) for names in PARTS.values()]
    return [f"{pj / profile.energy_pj:.0%}" for pj in (*found, profile.energy_pj - sum(found))]


def in_turns(
    simulate: Callable[[], Any], model: torch.nn.Module, ids: torch.Tensor, runs: int = 3
) -> tuple[float, float]:
    """Seconds of the fastest of some inferences by the simulator, and of the same in fp32."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        to_onnx(model, ids, path)
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    given = {"input_ids": ids.numpy()}
    with torch.no_grad():
        expected = model(ids).numpy()
    np.testing.assert_allclose(session.run(None, given)[0], expected, atol=1e-3)
    times = [(seconds(simulate), seconds(partial(session.run, None, given))) for _ in range(runs + 1)]
    simulated, fp32 = zip(*times, strict=True)
    return min(simulated), min(fp32)


def seconds(function: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
