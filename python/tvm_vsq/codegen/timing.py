"""One layer by itself, without data: what a tuner gives to the timing simulator."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_vsq.codegen.build import layer_steps
from tvm_vsq.codegen.emit import PostOp
from tvm_vsq.codegen.layer import DramTensor
from tvm_vsq.codegen.tokens import order_steps
from tvm_vsq.codegen.uops import REGION, UopCache
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.isa import encode_all
from tvm_vsq.schedule import Knobs, Workload


@dataclass(frozen=True)
class LayerCode:
    """Encoded instructions of a layer; DRAM holds nothing, the addresses are those of a program of one
    layer.
    """

    instructions: bytes
    count: int

    @property
    def layer_ids(self) -> bytes:
        """uint32 layer number of each instruction: all 0."""
        return bytes(4 * self.count)


def emit_layer(work: Workload, knobs: Knobs, hardware: HardwareConfig, layer: str = "layer") -> LayerCode:
    """Instructions of one layer between inputs and outputs in DRAM. ScheduleError if the schedule is
    illegal.
    """
    uops = UopCache(hardware)
    vectors = work.kb * hardware.output_lanes // hardware.vector_size
    results = work.n * work.oh * work.ow
    source = DramTensor("input", work.n * work.h * work.w, work.cv, work.cv, True)
    channels = work.kb * hardware.output_lanes if work.wide else None
    result = DramTensor("output", results, vectors, work.kb if work.wide else vectors, True, channels)
    residual = DramTensor("residual", results, vectors, vectors, True) if work.has_residual else None
    regions = ("weights", "parameters")
    steps = layer_steps(work, knobs, PostOp(), (regions, source, result, residual), (0, layer), uops)
    records, burst = hardware.record_bytes, hardware.dram.burst_bytes
    sizes = {
        regions[0]: work.kb * work.cv * work.r * work.s * records["wgt"],
        regions[1]: work.kb * records["par"],
        REGION: len(uops.image),
    }
    sizes |= {
        tensor.name: tensor.size_bytes(hardware)
        for tensor in (source, result, residual)
        if tensor is not None
    }
    addresses, end = {}, 0
    for region, size in sizes.items():
        addresses[region] = end
        end += -(-size // burst) * burst
    ordered = order_steps(steps, hardware.timing.token_queue_depth)
    for step in ordered:
        if step.region is not None:
            step.insn.fields["dram_base"] += addresses[step.region]
    return LayerCode(encode_all([step.insn for step in ordered], hardware), len(ordered))
