"""What waits for what."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tvm_vsq.pages import Column, Details, Paragraph, Section, Table

if TYPE_CHECKING:
    from tvm_vsq.runtime.profile import Profile

_TOP = 12
_COLUMNS = (
    Column("unit"),
    Column("waits for"),
    Column("while there goes on", help="at the end of the chain of units that wait for each other"),
    Column("cycles", ",d"),
    Column("share", ".1%", bar=True, help="of all cycles"),
    Column("mostly in"),
)
_IDLE = ("instruction", "finished")
"""What a unit waits for that has nothing to do: no stalls."""


def stalls_section(profile: Profile) -> Section:
    """The largest waits, then all of them; and how long each unit works."""
    waits: dict[tuple[str, str, str], Counter[str]] = {}
    for layer in profile.layers:
        for stall in layer.stalls:
            if stall.waits_for not in _IDLE:
                where = waits.setdefault((stall.unit, stall.waits_for, stall.cause), Counter())
                where[layer.name] += stall.cycles
    total = max(1, profile.cycles)
    rows = [
        (*wait, layers.total(), layers.total() / total, layers.most_common(1)[0][0])
        for wait, layers in sorted(waits.items(), key=lambda item: -item[1].total())
    ]
    busy = [
        (unit, works, works / total, profile.engine_stalled[unit] / total)
        for unit, works in profile.engine_busy.items()
    ]
    columns = (
        Column("unit"),
        Column("works", ",d", unit="cycles"),
        Column("works, share", ".1%", bar=True),
        Column("waits, share", ".1%", bar=True),
    )
    busiest = max(busy, key=lambda row: row[1])
    text = (
        f"{busiest[0].capitalize()} works most, {busiest[2]:.1%} of the cycles. Units work side by side, so "
        "their waits do not add up, and those of a unit that is not the busiest may cost nothing. Cycles in "
        "which a unit has nothing to do are no waits."
    )
    if not rows:
        return Section("Stalls", (Paragraph("No unit waits for another one."),))
    rest = [Details(f"All {len(rows)} kinds of waits", (Table("All waits", _COLUMNS, rows),))]
    return Section(
        "Stalls",
        (
            Paragraph(text),
            Table("Units", columns, busy),
            Table("Largest waits", _COLUMNS, rows[:_TOP]),
            *(rest if len(rows) > _TOP else []),
        ),
    )
