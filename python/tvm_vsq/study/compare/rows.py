"""Layers of several profiles, matched by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tvm_vsq.errors import InputError
from tvm_vsq.runtime import LayerProfile, Profile

_JOINED = " + "  # between the names of layers that are one program step


@dataclass(frozen=True)
class LayerRow:
    """One layer, or the few that some profile joins to one, in each profile.

    layers: by the profile's name; none where it runs on the CPU there, or not at all.
    """

    name: str
    layers: Mapping[str, tuple[LayerProfile, ...]]

    def cycles(self, profile: str) -> int:
        """Of all of them."""
        return sum(layer.cycles for layer in self.layers[profile])

    def energy_pj(self, profile: str) -> float:
        """Of all of them."""
        return sum(layer.energy_pj for layer in self.layers[profile])

    def dram_bytes(self, profile: str) -> int:
        """Of all of them."""
        return sum(layer.dram_bytes for layer in self.layers[profile])

    def minimum_dram_bytes(self, profile: str) -> int:
        """Of all of them."""
        return sum(layer.minimum_dram_bytes for layer in self.layers[profile])

    def macs(self, profile: str) -> int:
        """Of all of them, passes counted."""
        return sum(layer.macs for layer in self.layers[profile])

    def tuned(self, profile: str) -> bool:
        """Whether one of them has a record."""
        return any(layer.tuned for layer in self.layers[profile])


def matched(profiles: Mapping[str, Profile]) -> tuple[LayerRow, ...]:
    """Rows in the order of the first profile, then those that only others have.

    Raises InputError, naming the layer, if these are not inferences of one network.
    """
    groups: dict[str, set[str]] = {}  # by each name, the names that are one row with it
    for profile in profiles.values():
        for layer in profile.layers:
            names = layer.name.split(_JOINED)
            whole = set().union(*(groups.get(name, {name}) for name in names))
            groups |= dict.fromkeys(whole, whole)
    order: dict[int, set[str]] = {}
    for profile in profiles.values():
        for layer in profile.layers:
            group = groups[layer.name.split(_JOINED)[0]]
            order.setdefault(id(group), group)
    rows = []
    for group in order.values():
        found = {
            name: tuple(layer for layer in profile.layers if layer.name.split(_JOINED)[0] in group)
            for name, profile in profiles.items()
        }
        labels = (_JOINED.join(layer.name for layer in layers) for layers in found.values() if layers)
        rows.append(LayerRow(min(labels, key=len), found))
    _check_one_network(rows, profiles)
    return tuple(rows)


def _check_one_network(rows: Sequence[LayerRow], profiles: Mapping[str, Profile]) -> None:
    first, *others = profiles
    for other in others:
        shared = [row for row in rows if row.layers[first] and row.layers[other]]
        if not shared and profiles[first].layers and profiles[other].layers:
            raise InputError(
                f"'{first}' and '{other}' have no layer of the same name: they are different networks; "
                "compare what was compiled from one"
            )
        for row in shared:
            if not _is_same_work(row.macs(first), row.macs(other), profiles[first], profiles[other]):
                raise InputError(
                    f"layer '{row.name}' has {row.macs(first):,} multiply-accumulates in '{first}' and "
                    f"{row.macs(other):,} in '{other}': they are different networks, or one at other "
                    "shapes; compare what was compiled from one"
                )


def _is_same_work(one: int, other: int, first: Profile, second: Profile) -> bool:
    """Equal, or so many passes of it as a machine that takes wide elements digit by digit makes of it."""
    if one == other:
        return True
    more, less, machine = (one, other, first) if one > other else (other, one, second)
    passes = machine.hardware.precision_passes
    return passes > 1 and less > 0 and more % less == 0 and more // less <= passes**2
