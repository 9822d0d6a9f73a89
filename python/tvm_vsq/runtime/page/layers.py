"""A row for every layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tvm_vsq.pages import Column, Paragraph, Section, Table
from tvm_vsq.runtime.memory import moved_note

if TYPE_CHECKING:
    from tvm_vsq.runtime.profile import Profile

_COLUMNS = (
    Column("layer"),
    Column("cycles", ",d", help="from the end of the layer before it to its own"),
    Column("share", ".1%", bar=True, help="of all cycles"),
    Column("bound", help="what its roofline ends at"),
    Column("utilization", ".1%", help="useful multiply-accumulates over those that the array could do"),
    Column("padding", ".1%", help="part of the array's work that is on zeros"),
    Column("MACs", ",d", help="useful multiply-accumulates"),
    Column("energy", ",.1f", unit="nJ"),
    Column("DRAM", ",d", unit="B", help="bytes moved, instructions included"),
    Column("over minimum", ".2f", unit="×", help="bytes moved over those that every schedule moves"),
    Column("instructions", ",d"),
    Column("schedule", help="tuned, or default"),
    Column("operator"),
    Column("input > output, kernel"),
)


def layers_section(profile: Profile) -> Section:
    """The table, and what has to be said beside totals."""
    rows = [
        (
            layer.name,
            layer.cycles,
            layer.cycles / max(1, profile.cycles),
            layer.roofline.bound,
            layer.utilization,
            layer.padding,
            layer.macs,
            layer.energy_pj / 1e3,
            layer.dram_bytes,
            layer.dram_ratio,
            layer.instructions,
            "tuned" if layer.tuned else "default",
            layer.op,
            layer.shape,
        )
        for layer in profile.layers
    ]
    total = (
        "all",
        profile.cycles,
        "",
        "",
        profile.utilization,
        profile.padding,
        profile.macs,
        profile.energy_pj / 1e3,
        profile.dram_bytes,
        profile.dram_ratio,
        sum(layer.instructions for layer in profile.layers),
        "",
        "",
        "",
    )
    moved = moved_note(profile.dram_bytes, profile.minimum_dram_bytes, profile.on_chip_minimum_dram_bytes)
    notes = (*profile.notes, moved, str(profile.memory))
    paragraphs = [Paragraph(f"{note[:1].upper()}{note[1:]}.") for note in notes]
    return Section("Layers", (Table("Layers", _COLUMNS, rows, total), *paragraphs))
