"""Layers as TensorIR: workloads, knobs, tensor intrinsics, legality and the default schedule."""

from tvm_vsq.schedule.database import Database, Record, fingerprint, resolve_database, shipped_database
from tvm_vsq.schedule.default import default_knobs
from tvm_vsq.schedule.footprint import candidates, explain_misfit, fits, footprint, require_fit
from tvm_vsq.schedule.knobs import Knobs
from tvm_vsq.schedule.placement import Home, place, trip_counts
from tvm_vsq.schedule.tensorir import schedule_layer
from tvm_vsq.schedule.workload import Workload

__all__ = [
    "Database",
    "Home",
    "Knobs",
    "Record",
    "Workload",
    "candidates",
    "default_knobs",
    "explain_misfit",
    "fingerprint",
    "fits",
    "footprint",
    "place",
    "require_fit",
    "resolve_database",
    "schedule_layer",
    "shipped_database",
    "trip_counts",
]
