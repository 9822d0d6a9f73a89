"""The first sentences, and the numbers that go with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tvm_vsq.hardware.peak import clock_note
from tvm_vsq.pages import Fact, quantity

if TYPE_CHECKING:
    from tvm_vsq.runtime.profile import Profile


def summary(profile: Profile) -> str:
    """What runs on what, how long, what limits it, and what is left out."""
    clock = clock_note(profile.hardware, profile.technology)
    out = _left_out(profile) + (f" The clock: {clock}." if clock else "")
    if not profile.layers:
        return f"Nothing runs on {profile.target} ({profile.hardware.built_for}). {out}"
    count = len(profile.layers)
    return (
        f"{profile.target}, {profile.hardware.built_for}, computes {count} "
        f"{'layer' if count == 1 else 'layers'} in {profile.cycles:,} cycles, {_seconds(profile)} at "
        f"{profile.clock_mhz} MHz, and takes {quantity(profile.energy_pj * 1e-12, 'J')}. "
        f"{_limits(profile)} {out}"
    )


def facts(profile: Profile) -> tuple[Fact, ...]:
    """Cycles, energy, power, utilization, traffic, area."""
    seconds = profile.milliseconds * 1e-3
    joules = profile.energy_pj * 1e-12
    area, peak = profile.area_mm2, profile.hardware.macs_per_cycle
    found = [
        Fact("Cycles", f"{profile.cycles:,}", f"{_seconds(profile)} at {profile.clock_mhz} MHz"),
        Fact("Energy", quantity(joules, "J"), f"by {profile.technology.name}"),
        Fact("MAC utilization", f"{profile.utilization:.1%}", f"of {peak} a cycle"),
        Fact("DRAM traffic", quantity(profile.dram_bytes, "B"), f"{profile.dram_ratio:.2f} × the minimum"),
    ]
    if seconds:
        found.insert(2, Fact("Power", quantity(joules / seconds, "W"), "average while it works"))
    if area is not None:
        found.append(Fact("Area", f"{area:.3g} mm²", "without DRAM and pads"))
    return tuple(found)


def _seconds(profile: Profile) -> str:
    return quantity(profile.milliseconds * 1e-3, "s")


def _limits(profile: Profile) -> str:
    """By the roofline: whose layers take how much of the time."""
    cycles: dict[str, int] = {}
    for layer in profile.layers:
        cycles[layer.roofline.bound] = cycles.get(layer.roofline.bound, 0) + layer.cycles
    order = sorted(cycles.items(), key=lambda item: -item[1])
    (first, most), *others = [(bound, f"{of / max(1, profile.cycles):.0%}") for bound, of in order]
    rest = "".join(f", {bound} {share}" for bound, share in others)
    return f"By the layers' rooflines, {first} limits {most} of the time{rest}."


def _left_out(profile: Profile) -> str:
    skipped = profile.not_counted
    if not skipped.operators:
        return "Nothing runs on the CPU."
    count = sum(kind.count for kind in skipped.operators)
    what = "1 operator" if count == 1 else f"{count} operators"
    return f"Not counted: {what} on the CPU, with {skipped.macs_share:.1%} of the network's MACs."
