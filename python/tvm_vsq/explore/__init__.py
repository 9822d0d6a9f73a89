"""Design points of a network and its accelerator: a space of formats and machines comes in; accuracy, cycles,
energy and area of each point, and the Pareto front, go out (docs/sweep.md). What points share is computed
once, in processes side by side, and kept in a folder, from which an interrupted sweep goes on."""

from tvm_vsq.explore.result import SweepResult
from tvm_vsq.explore.run import sweep

__all__ = ["SweepResult", "sweep"]
