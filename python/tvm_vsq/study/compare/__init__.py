"""What differs between inferences, or between accelerators, and why."""

from tvm_vsq.study.compare.items import compare

__all__ = ["compare"]
