"""The datapath as RTL: its blocks for an accelerator, and what each of them has to compute (docs/rtl.md)."""

from tvm_vsq.rtl.blocks import Block, Port, blocks
from tvm_vsq.rtl.export import write_rtl
from tvm_vsq.rtl.pipeline import Pipelines, pipelines
from tvm_vsq.rtl.reference import expected
from tvm_vsq.rtl.simulate import Check, check, check_inputs
from tvm_vsq.rtl.sources import sources
from tvm_vsq.rtl.stimuli import stimuli
from tvm_vsq.rtl.tools import require_tool

__all__ = [
    "Block",
    "Check",
    "Pipelines",
    "Port",
    "blocks",
    "check",
    "check_inputs",
    "expected",
    "pipelines",
    "require_tool",
    "sources",
    "stimuli",
    "write_rtl",
]
