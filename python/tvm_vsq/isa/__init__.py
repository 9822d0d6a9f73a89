"""The instruction set: one table, and everything derived from it."""

from tvm_vsq.isa.codec import (
    INSTRUCTION_BYTES,
    Insn,
    decode,
    decode_all,
    decode_uops,
    encode,
    encode_all,
    encode_uops,
    field_values,
    memories,
    opcodes,
)
from tvm_vsq.isa.layout import Layout, Slot, layout_of, widths
from tvm_vsq.isa.table import ENGINE_OF, INSTRUCTIONS, LOAD_MEMORIES, ROUTES, STORE_MEMORIES, UNITS, code_of
from tvm_vsq.isa.text import assemble, assemble_all, described, disassemble, disassemble_all
from tvm_vsq.isa.transfers import transfer_bytes

__all__ = [
    "ENGINE_OF",
    "INSTRUCTIONS",
    "INSTRUCTION_BYTES",
    "LOAD_MEMORIES",
    "ROUTES",
    "STORE_MEMORIES",
    "UNITS",
    "Insn",
    "Layout",
    "Slot",
    "assemble",
    "assemble_all",
    "code_of",
    "decode",
    "decode_all",
    "decode_uops",
    "described",
    "disassemble",
    "disassemble_all",
    "encode",
    "encode_all",
    "encode_uops",
    "field_values",
    "layout_of",
    "memories",
    "opcodes",
    "transfer_bytes",
    "widths",
]
