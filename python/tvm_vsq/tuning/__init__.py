"""Search over schedules on simulated cycles."""

from tvm_vsq.tuning.cost import Cost, program_cost
from tvm_vsq.tuning.inputs import random_calibration
from tvm_vsq.tuning.tuner import TunedLayer, measure, search_workload, tune_layers

__all__ = [
    "Cost",
    "TunedLayer",
    "measure",
    "program_cost",
    "random_calibration",
    "search_workload",
    "tune_layers",
]
