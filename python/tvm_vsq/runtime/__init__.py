"""Running compiled models on the simulator."""

from tvm_vsq.runtime.executable import Executable, load
from tvm_vsq.runtime.explanation import Explanation
from tvm_vsq.runtime.metadata import LayerInfo, Metadata, Placement, ProgramInfo, ResultSpec, TensorSpec
from tvm_vsq.runtime.profile import LayerProfile, Profile
from tvm_vsq.runtime.tables import EnergyTables, compare_tables

__all__ = [
    "EnergyTables",
    "Executable",
    "Explanation",
    "LayerInfo",
    "LayerProfile",
    "Metadata",
    "Placement",
    "Profile",
    "ProgramInfo",
    "ResultSpec",
    "TensorSpec",
    "compare_tables",
    "load",
]
