"""From the fake-quantized graph to integer layers, and to regions for the accelerator."""

from tvm_vsq.transform.check_target import check_target
from tvm_vsq.transform.explain import OpPlacement, explain
from tvm_vsq.transform.fuse import fuse
from tvm_vsq.transform.legalize_reference import legalize_reference
from tvm_vsq.transform.partition import partition

__all__ = [
    "OpPlacement",
    "check_target",
    "explain",
    "fuse",
    "legalize_reference",
    "partition",
]
