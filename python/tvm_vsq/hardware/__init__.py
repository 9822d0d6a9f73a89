"""The accelerator and its technology as data."""

from tvm_vsq.hardware.config import (
    Dram,
    HardwareConfig,
    Scratchpads,
    Timing,
    index_width,
    list_targets,
    load_hardware,
    parse_hardware,
)

__all__ = [
    "Dram",
    "HardwareConfig",
    "Scratchpads",
    "Timing",
    "index_width",
    "list_targets",
    "load_hardware",
    "parse_hardware",
]
