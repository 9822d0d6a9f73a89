"""Synthesises the datapath's blocks for all configurations; areas and slacks go to build/rtl/areas.json.

    python benchmarks/rtl/areas.py                      # all, about 15 minutes; what is there stays
    python benchmarks/rtl/areas.py --only 4/4/4/4 --sizes 16

Areas are cells of osu018 (0.18 um) without wires; slacks are at PERIOD_NS. Only ratios mean anything.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import time
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from configurations import DIGITS, HELD_OUT, Key, fitted, hardware, one_pass
from synthesis import PERIOD_NS, slack_ns, synthesize

from tvm_vsq.rtl import Block, blocks, sources

RESULTS = Path(__file__).parents[2] / "build/rtl/areas.json"
# Not multiplier, adder_tree and the like, which are in these; of the memories, what LOAD fills.
BLOCKS = (
    "vector_mac",
    "ppu_lane",
    "quantizer",
    "transposer",
    "vector_lane",
    "reduce_tree",
    "row_unit",
    "unpack_uop",
    "unpack_inp",
    "unpack_wgt",
    "unpack_par",
    "unpack_acc",
    "unpack_second",
)
LARGEST = {"transposer": 16}
"""Vector sizes up to which a block is synthesised, where larger ones take yosys very long."""


def is_measured(key: Key, name: str) -> bool:
    """Whether this block is synthesised in that configuration."""
    return key[1] <= LARGEST.get(name, key[1])


def identity(block: Block) -> str:
    """Of what a block's area depends on: its module, parameters and the sources that it uses."""
    text = json.dumps([block.module, dict(block.parameters), [used_sources()[block.module]], PERIOD_NS])
    return f"{block.module}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


@lru_cache(maxsize=1)
def used_sources() -> dict[str, str]:
    """The text of each file that a module uses, by its name."""
    texts = [path.read_text() for path in sources()]
    home = {
        name: text for text in texts for name in re.findall(r"^(?:module|package) (\w+)", text, re.MULTILINE)
    }
    found = {}
    for module in home:
        used, waiting = set(), [module]
        while waiting:
            name = waiting.pop()
            if name not in used:
                used.add(name)
                waiting += set(re.findall(r"\b\w+\b", home[name])) & set(home)
        found[module] = "".join(sorted({home[name] for name in used}))
    return found


def measured() -> dict[str, Any]:
    """What is there: by `identity`."""
    return dict(json.loads(RESULTS.read_text())) if RESULTS.is_file() else {}


def measure(keys: list[Key], names: tuple[str, ...]) -> None:
    """Synthesise what is not there yet, a line each."""
    results = measured()
    for key in keys:
        for name in filter(partial(is_measured, key), names):
            block = blocks(hardware(key))[name]
            own = identity(block)
            if own in results:
                continue
            start = time.monotonic()
            with TemporaryDirectory() as folder:
                done = synthesize(block, Path(folder))
                slack = slack_ns(done)
            results[own] = {
                "module": block.module,
                "parameters": dict(block.parameters),
                "areas": done.areas,
                "area": done.area,
                "cells": len(done.netlist.instances),
                "leakage_nw": done.netlist.leakage_nw,
                "slack_ns": slack,
            }
            RESULTS.parent.mkdir(parents=True, exist_ok=True)
            RESULTS.write_text(json.dumps(results, indent=1))
            print(
                f"{key}: {name}: {done.area:.0f} um2, slack {slack:.2f} ns, {time.monotonic() - start:.1f} s",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="*", help="formats, W/A/ws/as")
    parser.add_argument("--sizes", nargs="*", type=int, help="vector sizes")
    parser.add_argument("--blocks", nargs="*", default=BLOCKS)
    arguments = parser.parse_args()
    keys = [
        key
        for key in dict.fromkeys((*fitted(), *HELD_OUT, *DIGITS, *map(one_pass, DIGITS)))
        if (not arguments.only or key[0] in arguments.only)
        and (not arguments.sizes or key[1] in arguments.sizes)
    ]
    if not keys:
        sys.exit("no configuration is so")
    measure(keys, tuple(arguments.blocks))


if __name__ == "__main__":
    main()
