"""Switching energy of the datapath's blocks; what was measured goes to build/rtl/energies.json.

    python benchmarks/rtl/energies.py                                # all but streams; what is there stays
    python benchmarks/rtl/energies.py --only arrays --formats 4/4/4/4 --sizes 16
    python benchmarks/rtl/energies.py --only streams --streams FOLDER  # what streams.py has saved

Each block is synthesised onto osu018 (0.18 um, 1.8 V, no wires), its netlist compared with the reference, and
its nets' changes are counted: without delays, and with those of its cells, where glitches count. A result is
the interval of the two. Only ratios mean anything.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import other_operands
from configurations import BASELINE, GATE_DIGITS, PAPER, PRODUCT_BITS, SIZES, Key, hardware
from energy_tables import arrays_table, others_table, shares_table, streams_table, units_table
from kept import Kept
from netlist import Netlist
from operands import KINDS, operands
from rich.console import Console
from saved_streams import Saved, saved
from switching import bench, check, measure
from synthesis import synthesize
from unit_energies import UNITS, measure_unit, yaml
from waveforms import Inputs

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.rtl import Block, blocks, expected, stimuli
from tvm_vsq.rtl.reference import Results

FORMATS = (*PAPER, "4/4/-/-")
OTHERS = ("ppu_lane", "quantizer", "vector_lane", "unpack_inp")
OTHERS_FORMATS = ("4/4/4/4", "4/8/6/10", BASELINE, *GATE_DIGITS)
CHECK, CHECKED = "check", 100_000  # random transactions, and all corners besides
COUNT = 8_000  # transactions of which energy is the mean
WARM = 20  # clocks after which pipelines are full
# Larger vectors take long with delays; how much operands matter shows at 16.
DELAYED = {16: KINDS, 32: ("laplace",), 64: ("laplace",)}


@dataclass(frozen=True)
class Case:
    """Operands of a block, and, if it is not the reference that says so, what it has to make of them."""

    kind: str
    inputs: Callable[[], Inputs]
    delays: bool = True
    results: Results | None = None
    start: int = 0  # of those that are simulated with delays


def array_keys(formats: list[str], sizes: list[int]) -> list[Key]:
    """Each with whole products of scales, and rounded ones."""
    return [(n, size, p) for size in sizes for n in formats for p in (*PRODUCT_BITS.get(n, ()), None)]


def array_cases(accelerator: HardwareConfig) -> list[Case]:
    with_delays = DELAYED[accelerator.vector_size]
    return [Case(kind, partial(operands, accelerator, kind, COUNT), kind in with_delays) for kind in KINDS]


def other_cases(accelerator: HardwareConfig, block: Block) -> list[Case]:
    kinds = other_operands.kinds(block)
    return [Case(kind, partial(make, accelerator, COUNT)) for kind, make in kinds.items()]


def stream_case(stream: Saved) -> Case:
    return Case(stream.kind, lambda: stream.inputs, results=stream.simulated, start=stream.start)


def check_all(accelerator: HardwareConfig, block: Block, netlist: Netlist) -> int:
    """Transactions that were compared."""
    # The reference of unpack takes time by the square of them.
    piece = CHECKED // 10 if block.name.startswith("unpack") else CHECKED
    count = 0
    for seed in range(CHECKED // piece):
        inputs = stimuli(accelerator, block, piece, seed)
        count += check(block, netlist, inputs, expected(accelerator, block.name, inputs))
    return count


def measure_block(
    kept: Kept, accelerator: HardwareConfig, block: Block, cases: list[Case], warm: int = WARM
) -> None:
    """What of `cases` is not there, and a check with all corners; a line."""
    missing = [case for case in cases if kept.of(block, case.kind) is None]
    checked = kept.of(block, CHECK)
    if checked and not missing:
        return
    start, said = time.monotonic(), []
    with TemporaryDirectory() as name:
        folder = Path(name)
        netlist = synthesize(block, folder).netlist
        if not checked:
            count = check_all(accelerator, block, netlist)
            cells, leakage = len(netlist.instances), netlist.leakage_nw
            kept.keep(block, CHECK, {"transactions": count, "cells": cells, "leakage_nw": leakage})
        given = [case.inputs() for case in missing]
        beyond = [
            len(next(iter(inputs.values()))) - case.start for case, inputs in zip(missing, given, strict=True)
        ]
        least = min(beyond, default=0)
        with_delays = any(case.delays for case in missing)
        ready = bench(block, netlist, warm, folder if with_delays else None, least)
        for case, inputs in zip(missing, given, strict=True):
            results = case.results or expected(accelerator, block.name, inputs)
            found = measure(ready, inputs, results, case.delays, case.start)
            kept.keep(block, case.kind, asdict(found))
            said.append(f"{case.kind} {found}")
    parameters = " ".join(f"{name}={number}" for name, number in block.parameters.items())
    print(
        f"{block.name} {parameters}: {'; '.join(said) or 'checked'}; {time.monotonic() - start:.1f} s",
        flush=True,
    )


def measure_streams(kept: Kept, streams: list[Saved]) -> None:
    """Those of a block together."""
    targets: dict[tuple[str, str], list[Saved]] = {}
    for stream in streams:
        targets.setdefault((stream.target, stream.block.name), []).append(stream)
    for members in targets.values():
        long = [stream for stream in members if len(stream) - stream.start > 2 * WARM]
        for stream in set(members) - set(long):
            print(f"{stream.kind}: too short for {stream.block.name}", flush=True)
        # What a lane of the vector unit forwards is no waveform that is known before.
        for stream in [s for s in long if s.block.name == "vector_lane" and s.inputs["forward"].any()]:
            long.remove(stream)
            print(f"{stream.kind}: {stream.block.name} goes on with its own results", flush=True)
        if long:
            measure_block(kept, long[0].hardware, long[0].block, list(map(stream_case, long)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    groups = ("arrays", "others", "units", "streams")
    parser.add_argument("--only", nargs="*", choices=groups, default=groups[:3])
    parser.add_argument("--formats", nargs="*", default=FORMATS, help="of arrays, W/A/ws/as")
    parser.add_argument(
        "--sizes", nargs="*", type=int, default=SIZES, choices=SIZES, help="of arrays' vectors"
    )
    parser.add_argument("--streams", type=Path, help="folder of .npz")
    arguments = parser.parse_args()
    kept, console = Kept(), Console(width=150)
    if "arrays" in arguments.only:
        keys = array_keys([*dict.fromkeys((BASELINE, *arguments.formats))], arguments.sizes)
        keys += [(notation, 16, None) for notation in GATE_DIGITS]
        for key in keys:
            accelerator = hardware(key)
            measure_block(kept, accelerator, blocks(accelerator)["vector_mac"], array_cases(accelerator))
        console.print(arrays_table(kept, keys), shares_table(kept, keys))
    if "others" in arguments.only:
        for notation in OTHERS_FORMATS:
            accelerator = hardware((notation, 16, None))
            for name in OTHERS:
                block = blocks(accelerator)[name]
                warm = WARM + (other_operands.FILLED if name == "vector_lane" else 0)
                measure_block(kept, accelerator, block, other_cases(accelerator, block), warm)
        console.print(others_table(kept, OTHERS, OTHERS_FORMATS))
    if "units" in arguments.only:
        for unit in UNITS:
            measure_unit(kept, unit)
        console.print(units_table(kept), yaml(kept), sep="\n")
    if "streams" in arguments.only:
        if arguments.streams is None:
            parser.error("--only streams needs --streams")
        found = saved(arguments.streams)
        measure_streams(kept, found)
        console.print(streams_table(kept, found))


if __name__ == "__main__":
    main()
