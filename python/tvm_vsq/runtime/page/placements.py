"""What ran where, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tvm_vsq.pages import Column, Paragraph, Section, Table

if TYPE_CHECKING:
    from tvm_vsq.runtime.profile import Profile

_COLUMNS = (
    Column("operator"),
    Column("layer"),
    Column("runs on"),
    Column("why"),
    Column("CPU MACs", ",d"),
    Column("CPU bytes", ",d", unit="B"),
)


def placements_section(profile: Profile) -> Section:
    """A row for every operator."""
    rows = [
        (
            row.op.removeprefix("relax."),
            row.layer,
            "CPU" if row.where == "cpu" else row.where,
            row.why,
            row.work.macs if row.work else None,
            row.work.bytes if row.work else None,
        )
        for row in profile.placements
    ]
    on_cpu = sum(row.where == "cpu" for row in profile.placements)
    text = f"Operators on the accelerator: {len(rows) - on_cpu}. On the CPU: {on_cpu}, which no total counts."
    return Section("What ran where", (Paragraph(text), Table("Operators", _COLUMNS, rows)))
