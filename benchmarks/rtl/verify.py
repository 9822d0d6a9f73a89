"""Every block of the RTL against NumPy, in Verilator: all corners, and 100,000 random transactions a block.

    python benchmarks/rtl/verify.py  # shipped targets, the paper's formats, digits: about 5 minutes
    python benchmarks/rtl/verify.py --count 1000000 --only 4/8/6/10 --blocks ppu

Blocks with the same parameters are simulated once. Prints a table; ends with code 1, and says which clocks
and signals, if anything differs.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from rich.console import Console
from rich.table import Table

from tvm_vsq.errors import VsqError
from tvm_vsq.hardware import HardwareConfig, list_targets, load_hardware, parse_hardware
from tvm_vsq.rtl import Block, Check, blocks, check

PAPER = ("4/4/4/4", "4/8/6/10", "6/8/4/-", "6/6/4/4", "8/8/8/8", "8/8/-/-")
SIZES = (16, 32, 64)


def paper(notation: str, size: int) -> HardwareConfig:
    """vsq-accel in another format, with a cycle more for each level of adders and each block of a vector."""
    hardware = load_hardware("vsq-accel").with_formats(notation, vector_size=size)
    more = {"gemm": size.bit_length() - 5, "ppu": hardware.group_blocks - 1}
    timing = hardware.timing.model_dump()
    timing |= {f"{unit}_pipeline_cycles": timing[f"{unit}_pipeline_cycles"] + n for unit, n in more.items()}
    return parse_hardware({**hardware.model_dump(), "timing": timing}, notation)


def with_digits(hardware: HardwareConfig, passes: int) -> HardwareConfig:
    """The same with elements of so many digits."""
    return parse_hardware({**hardware.model_dump(), "precision_passes": passes}, f"{hardware.name}+{passes}")


def accelerators() -> dict[str, HardwareConfig]:
    """The shipped targets, the paper's formats with vectors of each size, and some of both with digits."""
    shipped = {name: load_hardware(name) for name in list_targets()}
    formats = {f"{notation} V={size}": paper(notation, size) for notation in PAPER for size in SIZES}
    digits = {f"{name}+2": with_digits(shipped[name], 2) for name in shipped}
    digits["4/8/6/10+2 V=16"] = with_digits(paper("4/8/6/10", 16), 2)
    digits["2/2/4/4+4 V=32"] = with_digits(paper("2/2/4/4", 32), 4)
    return shipped | formats | digits


@dataclass(frozen=True)
class Case:
    """A block of an accelerator; `names` are all those that have it with the same parameters."""

    names: tuple[str, ...]
    hardware: HardwareConfig
    block: Block


def cases(chosen: Mapping[str, HardwareConfig]) -> list[Case]:
    """Every block of `chosen`, those with the same parameters once."""
    found: dict[tuple[object, ...], Case] = {}
    for name, hardware in chosen.items():
        for block in blocks(hardware).values():
            identity = (block.module, *block.parameters.items(), block.inputs, block.outputs)
            known = found.get(identity, Case((), hardware, block))
            found[identity] = replace(known, names=(*known.names, name))
    return list(found.values())


def checks(chosen: Sequence[Case], count: int, seed: int, jobs: int) -> Iterator[tuple[Case, Check, float]]:
    """What became of each, and after how many seconds."""

    def run(case: Case) -> tuple[Case, Check, float]:
        start = time.monotonic()
        found = check(case.hardware, case.block, count, seed)
        return case, found, time.monotonic() - start

    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(run, chosen)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=100_000, help="random transactions a block")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", help="parts of names of configurations")
    parser.add_argument("--blocks", nargs="*", help="names of blocks")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="blocks side by side")
    arguments = parser.parse_args()
    chosen = {
        name: hardware
        for name, hardware in accelerators().items()
        if not arguments.only or any(part in name for part in arguments.only)
    }
    wanted = [case for case in cases(chosen) if not arguments.blocks or case.block.name in arguments.blocks]
    if not wanted:
        parser.error("no configuration, or no block, is named so")

    table, wrong = Table("block", "configuration", "also of", "clocks", "wrong", "s"), 0
    for case, found, seconds in checks(wanted, arguments.count, arguments.seed, arguments.jobs):
        first, *others = case.names
        cells = (found.block, first, ", ".join(others), f"{found.clocks:,}", str(found.wrong))
        table.add_row(*cells, f"{seconds:.1f}")
        if found.wrong:
            wrong += 1
            print(found.summary(first), flush=True)
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    print(f"{len(wanted) - wrong} of {len(wanted)} blocks compute what NumPy does")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except VsqError as error:
        sys.exit(f"error: {error}")
