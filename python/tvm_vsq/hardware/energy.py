"""Energy: events times what components cost that they use, and what time costs (docs/energy.md)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from tvm_vsq.errors import ConfigError
from tvm_vsq.hardware.components import GROUPS, components
from tvm_vsq.hardware.config import HardwareConfig
from tvm_vsq.hardware.events import EVENTS
from tvm_vsq.hardware.standing import STANDING, standing_pj
from tvm_vsq.hardware.technology import Technology

PARTS_OF_ENERGY = (*GROUPS, *STANDING)
"""What `energy_by_part` adds up by: groups of components that events use, then what time costs."""


def layer_energy(
    events: Mapping[str, int],
    hardware: HardwareConfig,
    technology: Technology,
    cycles: int = 0,
    busy: Mapping[str, int] | None = None,
) -> dict[str, float]:
    """Energy of a layer in pJ, by kind of event, then what `cycles` cost of each in STANDING.

    events: counts; a kind that is left out counts 0. busy: of the cycles, those in which an engine works.
    Raises ConfigError for a name that is not in EVENTS.
    """
    if unknown := sorted(set(events) - set(EVENTS)):
        raise ConfigError(f"unknown event {', '.join(unknown)}; the simulator counts {', '.join(EVENTS)}")
    costs = event_energy_pj(hardware, technology)
    counted = {event: events.get(event, 0) * pj for event, pj in costs.items()}
    return {**counted, **standing_pj(hardware, technology, cycles, busy or {})}


def energy_by_part(
    events: Mapping[str, int],
    hardware: HardwareConfig,
    technology: Technology,
    cycles: int = 0,
    busy: Mapping[str, int] | None = None,
) -> dict[str, float]:
    """The same energy in pJ by PARTS_OF_ENERGY."""
    parts = dict.fromkeys(GROUPS, 0.0)
    for event, group, pj in _costs(hardware, technology):
        parts[group] += events.get(event, 0) * pj
    return {**parts, **standing_pj(hardware, technology, cycles, busy or {})}


@lru_cache(maxsize=64)
def event_energy_pj(hardware: HardwareConfig, technology: Technology) -> Mapping[str, float]:
    """Energy of one event of each kind in EVENTS, in pJ."""
    energies = dict.fromkeys(EVENTS, 0.0)
    for event, _, pj in _costs(hardware, technology):
        energies[event] += pj
    return MappingProxyType(energies)


@lru_cache(maxsize=64)
def _costs(hardware: HardwareConfig, technology: Technology) -> tuple[tuple[str, str, float], ...]:
    """What one event takes of each component that it uses, in pJ: event, group, energy."""
    return tuple(
        (event, component.group, uses * component.unit.pj(technology))
        for component in components(hardware)
        for event, uses in component.uses.items()
    )
