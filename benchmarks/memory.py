"""DRAM that networks take and move on the shipped accelerators, for docs/simulator.md.

python benchmarks/memory.py
python benchmarks/memory.py --networks resnet50 --schedules auto
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

import tvm_vsq
from tvm_vsq.hardware import list_targets

sys.path.append(str(Path(__file__).parent / "models"))
from networks import NETWORKS

HEADINGS = (
    "network",
    "target",
    "constants",
    "micro-ops",
    "arena",
    "separate",
    "moved",
    "minimum",
    "ratio",
    "on chip",
)


def row(name: str, target: str, schedules: str) -> list[str]:
    """Bytes; weights are not fitted, since none depends on their values."""
    network, hardware = NETWORKS[name](), tvm_vsq.load_hardware(target)
    profile = tvm_vsq.compile(
        network.model,
        hardware,
        quant=tvm_vsq.QuantConfig.of_hardware(hardware).unfitted(),
        example_inputs=(torch.from_numpy(network.x),),
        calibration=network.calibration,
        schedules=schedules,
    ).timing()
    memory = profile.memory
    sizes = (memory.constant_bytes, memory.micro_op_bytes, memory.arena_bytes, memory.separate_bytes)
    moved = (profile.dram_bytes, profile.minimum_dram_bytes)
    return [
        name,
        target,
        *(f"{size:,}" for size in (*sizes, *moved)),
        f"{profile.dram_ratio:.2f}",
        f"{profile.on_chip_minimum_dram_bytes:,}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", default=["resnet8", "resnet50"], choices=list(NETWORKS))
    parser.add_argument("--schedules", default="default", help="auto, default or a database file")
    arguments = parser.parse_args()
    table = Table()
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in HEADINGS[:2] else "right", no_wrap=True)
    for name in arguments.networks:
        for target in list_targets():
            table.add_row(*row(name, target, arguments.schedules))
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
