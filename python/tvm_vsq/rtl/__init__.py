"""The datapath as RTL: its blocks for an accelerator, and what each of them has to compute (docs/rtl.md)."""

from tvm_vsq.hardware.pipeline import Pipelines, pipelines
from tvm_vsq.rtl.blocks import Block, Port, blocks
from tvm_vsq.rtl.export import write_rtl
from tvm_vsq.rtl.operands import ComputeOperands, Operands, PpuOperands, VectorOperands
from tvm_vsq.rtl.reference import expected
from tvm_vsq.rtl.simulate import Check, check, check_inputs
from tvm_vsq.rtl.sources import sources
from tvm_vsq.rtl.stimuli import stimuli
from tvm_vsq.rtl.streams import Stream, check_stream, differences, streams
from tvm_vsq.rtl.tools import require_tool

__all__ = [
    "Block",
    "Check",
    "ComputeOperands",
    "Operands",
    "Pipelines",
    "Port",
    "PpuOperands",
    "Stream",
    "VectorOperands",
    "blocks",
    "check",
    "check_inputs",
    "check_stream",
    "differences",
    "expected",
    "pipelines",
    "require_tool",
    "sources",
    "stimuli",
    "streams",
    "write_rtl",
]
