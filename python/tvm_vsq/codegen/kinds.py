"""What reads the leaves of lowered TensorIR, by the external function that an intrinsic calls."""

from __future__ import annotations

from tvm_vsq.codegen.depthwise import read_windows
from tvm_vsq.codegen.gemm import read_clear, read_update
from tvm_vsq.codegen.leaf import LeafReader
from tvm_vsq.codegen.ppu import read_ppu
from tvm_vsq.codegen.rows import read_row_program
from tvm_vsq.codegen.vector import read_lowest, read_maximum, read_move, read_product, read_sum, read_zero
from tvm_vsq.schedule.depthwise import DEPTHWISE
from tvm_vsq.schedule.gemm import GEMM, RESET
from tvm_vsq.schedule.postprocess import PPU
from tvm_vsq.schedule.rows import ROWS
from tvm_vsq.schedule.vector import CLEAR, MAXIMUM, MOVE, PRODUCT, SUM, ZERO

LEAVES: dict[str, LeafReader] = {
    GEMM: read_update,
    RESET: read_clear,
    DEPTHWISE: read_windows,
    MAXIMUM: read_maximum,
    CLEAR: read_lowest,
    MOVE: read_move,
    SUM: read_sum,
    ZERO: read_zero,
    PRODUCT: read_product,
    PPU: read_ppu,
    ROWS: read_row_program,
}
