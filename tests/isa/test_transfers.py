"""What instructions move, against their declaration in docs/isa.md."""

from __future__ import annotations

from hypothesis import given
from tests.isa.test_codec import instructions

from tvm_vsq import isa


@given(instructions())
def test_fields_are_read_from_whole_programs_as_from_single_words(made):
    hardware, insn = made
    program = isa.encode(insn, hardware) + isa.encode(isa.Insn("FINISH"), hardware)
    for name, slot in isa.layout_of(hardware).slots[insn.name].items():
        if slot.field.bounds(slot.width)[0] >= 0 and name in insn.fields:
            read = isa.field_values(program, insn.name, name, hardware)
            assert read.tolist() == [insn.fields[name], 0 if insn.name != "FINISH" else read[1]]


@given(instructions())
def test_a_transfer_moves_as_many_records_as_it_has(made):
    hardware, insn = made
    fields = dict(insn.fields)
    moved = isa.transfer_bytes(isa.encode(insn, hardware), hardware)
    if insn.name not in ("LOAD", "STORE"):
        assert moved.tolist() == [0]
        return
    memory = (isa.LOAD_MEMORIES if insn.name == "LOAD" else isa.STORE_MEMORIES)[fields["mem"]]
    records = fields["x_size"] * fields["y_size"] * fields["z_size"]
    size = hardware.record_bytes[memory]
    if fields.get("gather") or fields.get("second"):
        size = hardware.second_record_bytes * (fields["lanes"] if insn.name == "LOAD" else 1)
    assert moved.tolist() == [records * size]
