"""Scheduled layers -> instruction streams: scratchpad slots, micro-ops, DMA, tokens, DRAM layout."""

from tvm_vsq.codegen.build import build_program
from tvm_vsq.codegen.emit import PostOp
from tvm_vsq.codegen.layer import DramTensor, Layer, ScheduledLayer
from tvm_vsq.codegen.program import LayerRecord, Program, ProgramRecord
from tvm_vsq.codegen.region import lower_region, region_layers, region_workloads
from tvm_vsq.codegen.timing import LayerCode, emit_layer

__all__ = [
    "DramTensor",
    "Layer",
    "LayerCode",
    "LayerRecord",
    "PostOp",
    "Program",
    "ProgramRecord",
    "ScheduledLayer",
    "build_program",
    "emit_layer",
    "lower_region",
    "region_layers",
    "region_workloads",
]
