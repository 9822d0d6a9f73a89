"""The accelerator and its technology as data, and the energy of what it does."""

from tvm_vsq.hardware.area import Area, AreaRow
from tvm_vsq.hardware.components import Component, components
from tvm_vsq.hardware.config import (
    Dram,
    HardwareConfig,
    Scratchpads,
    Timing,
    list_targets,
    load_hardware,
    parse_hardware,
)
from tvm_vsq.hardware.energy import PARTS_OF_ENERGY, energy_by_part, event_energy_pj, layer_energy
from tvm_vsq.hardware.events import EVENTS
from tvm_vsq.hardware.memories import LOADED, MEMORIES, SCRATCHPADS, STORED, Memory, index_width
from tvm_vsq.hardware.peak import Peak, peak_of
from tvm_vsq.hardware.standing import STANDING
from tvm_vsq.hardware.technology import (
    DramAccess,
    DramKind,
    Technology,
    list_drams,
    list_technologies,
    load_dram,
    load_technology,
    with_dram,
)
from tvm_vsq.hardware.tvm_target import hardware_of, target_options

__all__ = [
    "EVENTS",
    "LOADED",
    "MEMORIES",
    "PARTS_OF_ENERGY",
    "SCRATCHPADS",
    "STANDING",
    "STORED",
    "Area",
    "AreaRow",
    "Component",
    "Dram",
    "DramAccess",
    "DramKind",
    "HardwareConfig",
    "Memory",
    "Peak",
    "Scratchpads",
    "Technology",
    "Timing",
    "components",
    "energy_by_part",
    "event_energy_pj",
    "hardware_of",
    "index_width",
    "layer_energy",
    "list_drams",
    "list_targets",
    "list_technologies",
    "load_dram",
    "load_hardware",
    "load_technology",
    "parse_hardware",
    "peak_of",
    "target_options",
    "with_dram",
]
