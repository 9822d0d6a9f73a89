"""What extents with few divisors cost: cycles a multiply-accumulate of layers whose extents are prime, beside
the same layers with extents that have many divisors. Default schedules, each layer by itself.
"""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table

import tvm_vsq
from tvm_vsq.codegen import emit_layer
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.runtime import native
from tvm_vsq.schedule import Convolution, default_knobs

PADDING = (1, 1, 1, 1)
PAIRS = {
    "3x3, 53 or 54 rows and columns": (
        Convolution(1, 53, 53, 4, 4, 3, 3, padding=PADDING),
        Convolution(1, 54, 54, 4, 4, 3, 3, padding=PADDING),
    ),
    "1x1, 127 or 126 rows and columns": (
        Convolution(1, 127, 127, 8, 8),
        Convolution(1, 126, 126, 8, 8),
    ),
    "3x3, 61 or 60 columns": (
        Convolution(1, 32, 61, 4, 4, 3, 3, padding=PADDING),
        Convolution(1, 32, 60, 4, 4, 3, 3, padding=PADDING),
    ),
    "3x3, 17 or 16 vectors in, 13 or 12 blocks out": (
        Convolution(1, 28, 28, 17, 13, 3, 3, padding=PADDING),
        Convolution(1, 28, 28, 16, 12, 3, 3, padding=PADDING),
    ),
    "1x1, 31 or 32 vectors in, 61 or 60 blocks out": (
        Convolution(1, 14, 14, 31, 61),
        Convolution(1, 14, 14, 32, 60),
    ),
    "3x3, 53 or 54 pixels, 7 or 8 vectors, 13 or 12 blocks": (
        Convolution(1, 53, 53, 7, 13, 3, 3, padding=PADDING),
        Convolution(1, 54, 54, 8, 12, 3, 3, padding=PADDING),
    ),
    "dense, 1,009 or 1,008 rows": (
        Convolution(1, 1, 1009, 16, 16),
        Convolution(1, 1, 1008, 16, 16),
    ),
    "dense, 509 or 512 rows, 47 or 48 vectors, 191 or 192 blocks": (
        Convolution(1, 1, 509, 47, 191),
        Convolution(1, 1, 512, 48, 192),
    ),
}
"""(with prime extents, with extents of many divisors)"""


def cycles_per_step(work: Convolution, hardware: HardwareConfig) -> float:
    """Cycles for each that the array is busy; 1 is the floor."""
    code = emit_layer(work, default_knobs(work, hardware, work.key), hardware)
    timing = native.simulate_timing(hardware.sim_params(), code.instructions, code.layer_ids, 1)
    return int(timing["cycles"]) / (work.n * work.oh * work.ow * work.cv * work.kb * work.r * work.s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", nargs="+", default=["vsq-accel-int8", "vsq-accel", "vsq-accel-w4a8"])
    targets = [tvm_vsq.load_hardware(name) for name in parser.parse_args().targets]
    table = Table(title="Cycles for each cycle of multiply-accumulates: prime, many divisors, loss")
    table.add_column("layer")
    for hardware in targets:
        table.add_column(hardware.name, justify="right", no_wrap=True)
    for name, pair in PAIRS.items():
        row = []
        for hardware in targets:
            prime, smooth = (cycles_per_step(work, hardware) for work in pair)
            row.append(f"{prime:.3f} {smooth:.3f} {prime / smooth - 1:+.1%}")
        table.add_row(name, *row)
    Console(width=132).print(table)


if __name__ == "__main__":
    main()
