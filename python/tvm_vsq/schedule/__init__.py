"""Layers as loop nests and TensorIR: knobs, tensor intrinsics, legality and the default schedule."""

from tvm_vsq.schedule.convolution import Convolution
from tvm_vsq.schedule.database import Database, Record, fingerprint, resolve_database, shipped_database
from tvm_vsq.schedule.default import default_knobs
from tvm_vsq.schedule.footprint import explain_misfit, fits, footprint, require_fit
from tvm_vsq.schedule.knobs import Knobs
from tvm_vsq.schedule.nest import LoopNest
from tvm_vsq.schedule.placement import Home, place
from tvm_vsq.schedule.space import candidates
from tvm_vsq.schedule.tensorir import schedule_layer
from tvm_vsq.schedule.workload import Workload, nest_of

__all__ = [
    "Convolution",
    "Database",
    "Home",
    "Knobs",
    "LoopNest",
    "Record",
    "Workload",
    "candidates",
    "default_knobs",
    "explain_misfit",
    "fingerprint",
    "fits",
    "footprint",
    "nest_of",
    "place",
    "require_fit",
    "resolve_database",
    "schedule_layer",
    "shipped_database",
]
