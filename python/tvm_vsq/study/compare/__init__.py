"""What differs between inferences, or between accelerators, and why."""

from tvm_vsq.study.compare.comparison import Comparison
from tvm_vsq.study.compare.items import compare
from tvm_vsq.study.compare.targets import TargetComparison

__all__ = ["Comparison", "TargetComparison", "compare"]
