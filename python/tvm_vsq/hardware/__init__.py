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
from tvm_vsq.hardware.energy import event_energy_pj, layer_energy
from tvm_vsq.hardware.events import EVENTS
from tvm_vsq.hardware.memories import LOADED, MEMORIES, SCRATCHPADS, STORED, Memory, index_width
from tvm_vsq.hardware.peak import Peak, peak_of
from tvm_vsq.hardware.technology import Technology, list_technologies, load_technology
from tvm_vsq.hardware.tvm_target import hardware_of, target_options

__all__ = [
    "EVENTS",
    "LOADED",
    "MEMORIES",
    "SCRATCHPADS",
    "STORED",
    "Area",
    "AreaRow",
    "Component",
    "Dram",
    "HardwareConfig",
    "Memory",
    "Peak",
    "Scratchpads",
    "Technology",
    "Timing",
    "components",
    "event_energy_pj",
    "hardware_of",
    "index_width",
    "layer_energy",
    "list_targets",
    "list_technologies",
    "load_hardware",
    "load_technology",
    "parse_hardware",
    "peak_of",
    "target_options",
]
