"""What the accelerator takes on a chip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tvm_vsq.errors import ConfigError
from tvm_vsq.pages import Column, Details, Paragraph, Section, Table

if TYPE_CHECKING:
    from tvm_vsq.runtime.profile import Profile


def area_section(profile: Profile) -> Section:
    """By group of components, then every component; or why there are no areas."""
    try:
        area = profile.area()
    except ConfigError as error:
        return Section("Area", (Paragraph(f"No areas: {error}."),))
    groups = sorted(area.by_group().items(), key=lambda item: -item[1])
    rows = [(group, mm2, mm2 / area.mm2) for group, mm2 in groups]
    columns = (Column("component"), Column("area", ".4f", unit="mm²"), Column("share", ".1%", bar=True))
    table = Table("Area by component", columns, rows, ("all", area.mm2, ""))
    inside = Table(
        "Area by unit",
        (
            Column("unit"),
            Column("component"),
            Column("basis", help="synthesised, estimated by the same coefficients, or memory macros"),
            Column("gate equivalents", ",.0f"),
            Column("area", ".5f", unit="mm²"),
        ),
        [(row.component, row.group, row.basis, row.gates or None, row.mm2) for row in area.rows],
    )
    text = (
        f"{area.mm2:.3g} mm² in `{area.technology}`, {area.logic_mm2:.3g} mm² of it logic; without DRAM, "
        "pads and clock tree."
    )
    return Section("Area", (Paragraph(text), table, Details("Every unit", (inside,))))
