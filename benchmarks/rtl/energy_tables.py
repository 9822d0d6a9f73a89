"""What energies.py measured, as tables: intervals from without delays to with those of cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from configurations import BASELINE, Key, hardware
from kept import Kept
from operands import KINDS
from rich.table import Table
from saved_streams import Saved
from switching import PARTS
from unit_energies import UNITS, operation_pj, parts_pj

from tvm_vsq.rtl import Block, blocks

BASELINE_TARGET = "vsq-accel-int8"
_ARRAY_PARTS = tuple(part for part in PARTS if part != "logic")
_CLOCKED = ("registers", "clock")


def arrays_table(kept: Kept, keys: Iterable[Key]) -> Table:
    """Of a MAC, against that of the baseline of the same vector size and operands."""
    table = Table(
        "format", "P", "V", *KINDS, *(f"{kind}, pJ a MAC" for kind in KINDS), title="energy of a MAC, 8/8 = 1"
    )
    for key in keys:
        own, base = _vector_mac(key), _vector_mac((BASELINE, key[1], None))
        ratios = [_ratio(kept.of(own, kind), kept.of(base, kind)) for kind in KINDS]
        pj = [_interval(kept.of(own, kind), 1 / key[1]) for kind in KINDS]
        table.add_row(*_named(key), *ratios, *pj)
    return table


def shares_table(kept: Kept, keys: Iterable[Key], kind: str = "laplace") -> Table:
    """How a MAC's energy is made up, in the energy of the baseline's MAC without delays, or with."""
    title = f"parts of it, {kind}; logic: all but registers and their clock, against the baseline's logic"
    table = Table("format", "P", "V", *_ARRAY_PARTS, "logic", title=title)
    for key in keys:
        own, base = kept.of(_vector_mac(key), kind), kept.of(_vector_mac((BASELINE, key[1], None)), kind)
        if own and base:
            cells = [_ratio(own, base, (part,), None) for part in _ARRAY_PARTS]
            logic = tuple(part for part in PARTS if part not in _CLOCKED)
            table.add_row(*_named(key), *cells, _ratio(own, base, logic, logic))
    return table


def others_table(kept: Kept, names: Iterable[str], formats: Iterable[str]) -> Table:
    """Of a clock of the other blocks at a vector size of 16."""
    table = Table(
        "block", "format", "operands", "pJ a clock", "8/8 = 1", "clock and registers", title="other blocks"
    )
    for name in names:
        for notation in formats:
            own, base = (blocks(hardware((n, 16, None)))[name] for n in (notation, BASELINE))
            for kind in ("random", "laplace", "mul", "table"):
                if record := kept.of(own, kind):
                    share = _ratio(record, record, _CLOCKED, None)
                    table.add_row(
                        name, notation, kind, _interval(record), _ratio(record, kept.of(base, kind)), share
                    )
    return table


def units_table(kept: Kept) -> Table:
    """pJ of an operation of units on uniform random operands, and of their parts."""
    table = Table("unit", "pJ", title="an operation on uniform random operands, 1.8 V")
    for measurable in UNITS:
        table.add_row(str(measurable.unit), _range(operation_pj(kept, measurable)))
    table.add_section()
    for part, energies in parts_pj(kept).items():
        table.add_row(f"{part}, a bit or pair of bits", _range(energies))
    return table


def streams_table(kept: Kept, streams: Iterable[Saved]) -> Table:
    """Of real operands, against the same layer on the baseline target."""
    everything = list(streams)
    base = {(s.network, s.layer, s.block.name): s for s in everything if s.target == BASELINE_TARGET}
    table = Table(
        "network",
        "layer",
        "block",
        "target",
        "transactions",
        "pJ a clock",
        "a MAC, 8/8 = 1",
        title="real operands",
    )
    for stream in everything:
        record = kept.of(stream.block, stream.kind)
        other = base.get((stream.network, stream.layer, stream.block.name))
        against = kept.of(other.block, other.kind) if other else None
        if record:
            scale = other.hardware.vector_size / stream.hardware.vector_size if other else 1
            table.add_row(
                stream.network,
                stream.layer,
                stream.block.name,
                stream.target,
                f"{record['transactions']:,}",
                _interval(record),
                _ratio(record, against, scale=scale if stream.block.name == "vector_mac" else 1),
            )
    return table


def _vector_mac(key: Key) -> Block:
    return blocks(hardware(key))["vector_mac"]


def _named(key: Key) -> tuple[str, str, str]:
    return key[0], str(hardware(key).formats.product_bits or "-"), str(key[1])


def _totals(record: Mapping[str, Any], parts: tuple[str, ...] | None = None) -> list[float]:
    """Without delays, and with if that was measured."""
    found = [record["zero_pj"], record["delayed_pj"]]
    return [sum(pj for part, pj in each.items() if parts is None or part in parts) for each in found if each]


def _ratio(
    own: Mapping[str, Any] | None,
    base: Mapping[str, Any] | None,
    parts: tuple[str, ...] | None = None,
    base_parts: tuple[str, ...] | None = None,
    scale: float = 1,
) -> str:
    if not own or not base:
        return "-"
    pairs = zip(_totals(own, parts), _totals(base, base_parts), strict=False)
    return _range(scale * a / b for a, b in pairs)


def _interval(record: Mapping[str, Any] | None, scale: float = 1) -> str:
    return _range(pj * scale for pj in _totals(record)) if record else "-"


def _range(numbers: Iterable[float]) -> str:
    return " .. ".join(f"{number:.3g}" for number in numbers)
