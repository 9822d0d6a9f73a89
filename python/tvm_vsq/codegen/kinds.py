"""What reads the leaves of lowered TensorIR, by the external function that an intrinsic calls."""

from __future__ import annotations

from tvm_vsq.codegen.gemm import read_clear, read_update
from tvm_vsq.codegen.leaf import LeafReader
from tvm_vsq.codegen.ppu import read_ppu
from tvm_vsq.schedule.gemm import GEMM, RESET
from tvm_vsq.schedule.postprocess import PPU

LEAVES: dict[str, LeafReader] = {GEMM: read_update, RESET: read_clear, PPU: read_ppu}
