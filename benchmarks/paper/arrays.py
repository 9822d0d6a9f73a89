"""Synthesises a vector MAC in every format that docs/paper.md names, and measures what its gates switch.

    python benchmarks/paper/arrays.py        # what the other benchmarks of rtl/ did stays

Uses benchmarks/rtl and its records, build/rtl/areas.json and energies.json.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from machines import BASELINE, FORMATS, PRODUCT_BITS, SIZES, Key, array
from published import KELLER_PRODUCT_BITS, KELLER_VECTOR_SIZE, POINTS

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "rtl"))
import areas
from energies import COUNT, Case, array_cases, measure_block
from kept import Kept
from library import gate_um2
from operands import operands

from tvm_vsq.rtl import Block, blocks

KINDS = ("uniform", "laplace")
KELLER_KEYS = [(n, KELLER_VECTOR_SIZE, p) for n, p in KELLER_PRODUCT_BITS.items()]


def keys() -> list[Key]:
    """All of FORMATS and PRODUCT_BITS, and what was published."""
    found: list[Key] = [(BASELINE, size, None) for size in SIZES]
    found += [(n, size, p) for size in SIZES for n in FORMATS for p in (*PRODUCT_BITS.get(n, ()), None)]
    return list(dict.fromkeys([*found, *(point.key for point in POINTS), *KELLER_KEYS]))


def vector_mac(key: Key) -> Block:
    """One lane of the array."""
    return blocks(array(key))["vector_mac"]


def area(key: Key) -> float:
    """Gate equivalents of a MAC; a KeyError says that main() has not run."""
    return float(areas.measured()[areas.identity(vector_mac(key))]["area"]) / gate_um2() / key[1]


def energies(kept: Kept, key: Key, kind: str) -> list[float]:
    """pJ of a MAC without delays and, if that was measured, with those of cells; none if nothing was."""
    record = kept.of(vector_mac(key), kind)
    ways = [record[way] for way in ("zero_pj", "delayed_pj")] if record else []
    return [sum(parts.values()) / key[1] for parts in ways if parts]


def ratios(kept: Kept, key: Key, kind: str) -> list[float]:
    """Energies over those of BASELINE on the same vector size and kind of operands."""
    base = energies(kept, (BASELINE, key[1], None), kind)
    return [mine / its for mine, its in zip(energies(kept, key, kind), base, strict=False)]


def main() -> None:
    areas.measure(keys(), ("vector_mac",))
    kept = Kept()
    for key in keys():
        hardware = array(key)
        cases = [case for case in array_cases(hardware) if case.kind in KINDS]
        measure_block(kept, hardware, vector_mac(key), cases)
    for key in KELLER_KEYS:
        hardware = array(key)
        case = Case("sparse", partial(operands, hardware, "sparse", COUNT), delays=False)
        measure_block(kept, hardware, vector_mac(key), [case])


if __name__ == "__main__":
    main()
