"""Energy: the simulator's event counts times what the components cost that an event uses (docs/energy.md)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from tvm_vsq.errors import ConfigError
from tvm_vsq.hardware.components import components
from tvm_vsq.hardware.config import HardwareConfig
from tvm_vsq.hardware.events import EVENTS
from tvm_vsq.hardware.technology import Technology


def layer_energy(
    events: Mapping[str, int], hardware: HardwareConfig, technology: Technology
) -> dict[str, float]:
    """Energy of a layer's counted events in pJ, by kind of event; a kind that is left out counts 0.

    Raises ConfigError for a name that is not in EVENTS.
    """
    if unknown := sorted(set(events) - set(EVENTS)):
        raise ConfigError(f"unknown event {', '.join(unknown)}; the simulator counts {', '.join(EVENTS)}")
    return {event: events.get(event, 0) * pj for event, pj in event_energy_pj(hardware, technology).items()}


@lru_cache(maxsize=64)
def event_energy_pj(hardware: HardwareConfig, technology: Technology) -> Mapping[str, float]:
    """Energy of one event of each kind in EVENTS, in pJ."""
    energies = dict.fromkeys(EVENTS, 0.0)
    for component in components(hardware):
        pj = component.unit.pj(technology)
        for event, uses in component.uses.items():
            energies[event] += uses * pj
    return MappingProxyType(energies)
