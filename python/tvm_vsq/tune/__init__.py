"""Search over schedules on simulated cycles."""

from tvm_vsq.tune.cycles import program_cycles
from tvm_vsq.tune.inputs import random_calibration
from tvm_vsq.tune.tuner import measure, search_workload, tune_workloads

__all__ = ["measure", "program_cycles", "random_calibration", "search_workload", "tune_workloads"]
