"""The page of a profile: what `Profile.to_html` writes, a file for each section."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tvm_vsq.pages import Page, Section, glossary
from tvm_vsq.runtime.page.area import area_section
from tvm_vsq.runtime.page.energy import energy_section
from tvm_vsq.runtime.page.layers import layers_section
from tvm_vsq.runtime.page.placements import placements_section
from tvm_vsq.runtime.page.quality import Quality, quality_section
from tvm_vsq.runtime.page.roofline import roofline_section
from tvm_vsq.runtime.page.stalls import stalls_section
from tvm_vsq.runtime.page.summary import facts, summary
from tvm_vsq.runtime.page.timeline import timeline_section

if TYPE_CHECKING:
    from tvm_vsq.runtime.profile import Profile

__all__ = ["Quality", "profile_page"]

_TERMS = (
    "accumulator",
    "bound",
    "clipped",
    "coarse scale",
    "critical path",
    "cycle",
    "dependency token",
    "DRAM",
    "engine",
    "gate equivalent",
    "intensity",
    "MAC",
    "micro-op",
    "padding",
    "PPU",
    "roofline",
    "scale product",
    "schedule",
    "scratchpad",
    "SQNR",
    "stall",
    "tile",
    "utilization",
    "vector size",
    "VS-Quant",
    "W/A/ws/as",
)


def profile_page(profile: Profile, quality: Quality | None = None, title: str | None = None) -> Page:
    """Everything that a profile knows, for a person; as `Profile.to_html`."""
    return Page(
        title or f"One inference on {profile.target}, {profile.hardware.built_for}",
        summary(profile),
        (
            roofline_section(profile),
            layers_section(profile),
            energy_section(profile),
            area_section(profile),
            stalls_section(profile),
            timeline_section(profile),
            quality_section(profile, quality),
            placements_section(profile),
            Section("Glossary", (glossary(*_TERMS),)),
        ),
        facts(profile),
    )
