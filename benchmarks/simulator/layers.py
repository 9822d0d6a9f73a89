"""Layers that are compared with other simulators, what ours says about them, and how the others are run."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tvm_vsq.codegen import emit_layer
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.hardware.events import EVENTS
from tvm_vsq.runtime import native
from tvm_vsq.schedule import Convolution, default_knobs, shipped_database

TARGET = "vsq-accel-int8"  # one byte an element and no scales: what the others can express


_COMPUTE = 2  # of the units fetch, load, compute and the rest


@dataclass(frozen=True)
class Shape:
    """A convolution of an image [h, w, c] with k kernels of these extents; extents are (rows, columns).

    A dense layer of M rows has h = 1, w = M and a kernel of one pixel.
    """

    name: str
    h: int
    w: int
    c: int
    k: int
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)

    @property
    def result(self) -> tuple[int, int]:
        """Rows and columns of the result."""
        axes = zip((self.h, self.w), self.padding, self.kernel, self.stride, strict=True)
        rows, columns = ((extent + 2 * border - taps) // step + 1 for extent, border, taps, step in axes)
        return rows, columns

    @property
    def macs(self) -> int:
        return prod((*self.result, self.c, self.k, *self.kernel))

    @property
    def least_bytes(self) -> int:
        """Every input, weight and output once, a byte each, nothing padded."""
        return self.h * self.w * self.c + prod(self.kernel) * self.c * self.k + prod(self.result) * self.k


SHAPES = (
    Shape("ResNet-50 conv1 7x7/2, 3-64", 224, 224, 3, 64, (7, 7), (2, 2), (3, 3)),
    # As compile lays it out: the columns of a window side by side as channels.
    Shape("the same, packed: 7x1, 21-64", 224, 112, 21, 64, (7, 1), (2, 1), (3, 0)),
    Shape("ResNet-50 layer1 3x3, 64-64", 56, 56, 64, 64, (3, 3), (1, 1), (1, 1)),
    Shape("ResNet-50 layer3 1x1, 1024-256", 14, 14, 1024, 256),
    Shape("ResNet-50 layer4 1x1, 512-2048", 7, 7, 512, 2048),
    Shape("BERT q/k/v, 128 x 768-768", 1, 128, 768, 768),
    Shape("BERT 128 x 768-3072", 1, 128, 768, 3072),
)


@dataclass(frozen=True)
class Cost:
    """`array` and `busy` are cycles of the multiplier array and of the compute engine, `total` those of the
    layer alone from an idle machine; bytes are DRAM traffic."""

    array: int
    busy: int
    total: int
    dram_bytes: int


def ours(shape: Shape, hardware: HardwareConfig) -> Cost:
    """The layer alone, from DRAM to requantized vectors in DRAM, scheduled as `compile` does by itself."""
    work = Convolution(
        1,
        shape.h,
        shape.w,
        -(-shape.c // hardware.vector_size),
        -(-shape.k // hardware.output_lanes),
        *shape.kernel,
        shape.stride,
        shape.padding * 2,
    )
    tuned = shipped_database(hardware).lookup(work, hardware)
    code = emit_layer(work, tuned or default_knobs(work, hardware, shape.name), hardware)
    run = native.simulate_timing(hardware.sim_params(), code.instructions, code.layer_ids, 1)
    events = dict(zip(EVENTS, run["events"][0], strict=True))
    return Cost(
        int(events["macs"]) // hardware.macs_per_cycle,
        int(run["units"][_COMPUTE][0]),
        int(run["cycles"]),
        int(events["dram_read_bytes"] + events["dram_write_bytes"]),
    )


def environment(name: str, requirements: Sequence[str]) -> str:
    """Python of an environment under build/ for packages whose pins are not ours, made at the first use."""
    folder = Path(__file__).resolve().parents[2] / "build" / f"venv-{name}"
    python, stamp = folder / "bin" / "python", folder / "complete"
    if not stamp.is_file():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements], check=True)
        stamp.touch()
    return str(python)


def foreign(python: str, worker: str, shape: Shape) -> dict[str, Any]:
    """What another simulator says about a layer: runs `worker`, a script of this folder, in `python`."""
    request = json.dumps({**asdict(shape), "result": shape.result})
    script = Path(__file__).with_name(worker)
    run = subprocess.run([python, str(script)], input=request, capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{worker} failed on {shape.name}:\n{run.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


def choose(names: Sequence[int] | None, default: Sequence[int]) -> list[Shape]:
    return [SHAPES[index] for index in (default if names is None else names)]


def print_comparison(other: str, rows: Sequence[tuple[Shape, Cost, dict[str, Any]]]) -> None:
    """`rows` hold the other simulator's {"compute", "total", "dram_bytes"}."""
    table = Table(title=f"tvm_vsq beside {other}: thousand cycles and DRAM kB", title_justify="left")
    table.add_column("layer")
    headings = ("MACs/256", "array", "busy", "theirs", "ratio", "total", "theirs", "ratio")
    headings += ("least DRAM", "DRAM", "theirs", "ratio")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for shape, cost, found in rows:
        cells = [shape.name, f"{shape.macs / 256e3:.1f}", f"{cost.array / 1e3:.1f}"]
        pairs = ((cost.busy, "compute"), (cost.total, "total"), (cost.dram_bytes, "dram_bytes"))
        for mine, key in pairs:
            cells += [f"{shape.least_bytes / 1e3:.1f}"] if key == "dram_bytes" else []
            cells += [f"{mine / 1e3:.1f}", f"{found[key] / 1e3:.1f}", f"{found[key] / mine:.2f}"]
        table.add_row(*cells)
    Console(width=150).print(table)
