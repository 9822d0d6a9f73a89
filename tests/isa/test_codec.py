"""Instructions survive encoding, decoding, assembling and disassembling, for every field of every config."""

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from tvm_vsq import isa
from tvm_vsq.errors import ConfigError, ProgramError
from tvm_vsq.hardware import HardwareConfig, list_targets, load_hardware
from tvm_vsq.isa import layout
from tvm_vsq.isa.table import INSTRUCTIONS, OPCODE, TOKENS

TOKEN_NAMES = [token.name for token in TOKENS]
BASE = load_hardware("vsq-accel")


@st.composite
def hardware_configs(draw: st.DrawFn) -> HardwareConfig:
    pads = {pad: draw(st.integers(1, 64)) for pad in ("uop_kib", "inp_kib", "par_kib", "out_kib")}
    scratchpads = BASE.scratchpads.model_copy(
        update={**pads, "wgt_kib": draw(st.integers(16, 256)), "acc_kib": draw(st.integers(8, 64))}
    )
    widths = {
        "vector_size": draw(st.sampled_from([8, 16, 32, 64])),
        "weight_bits": draw(st.integers(2, 8)),
        "activation_bits": draw(st.integers(2, 8)),
        "weight_scale_bits": draw(st.none() | st.integers(1, 10)),
    }
    hardware = BASE.model_copy(update={**widths, "scratchpads": scratchpads, "scale_product_bits": None})
    try:
        isa.layout_of(hardware)
    except ConfigError:  # refused, as test_hardware_whose_instructions_overflow_is_refused says
        reject()
    return hardware


@st.composite
def instructions(draw: st.DrawFn) -> tuple[HardwareConfig, isa.Insn]:
    hardware = draw(hardware_configs())
    instruction = draw(st.sampled_from(INSTRUCTIONS))
    slots = isa.layout_of(hardware).slots[instruction.name]
    fields = {
        f.name: draw(st.integers(*((0, len(f.names) - 1) if f.names else f.bounds(slots[f.name].width))))
        for f in instruction.fields
    }
    return hardware, isa.Insn(
        instruction.name, fields, frozenset(draw(st.sets(st.sampled_from(TOKEN_NAMES))))
    )


@given(instructions())
def test_decode_inverts_encode(case: tuple[HardwareConfig, isa.Insn]) -> None:
    hardware, insn = case
    assert isa.decode(isa.encode(insn, hardware), hardware) == insn


@given(instructions())
def test_assemble_inverts_disassemble(case: tuple[HardwareConfig, isa.Insn]) -> None:
    hardware, insn = case
    assert isa.encode(isa.assemble(isa.disassemble(insn)), hardware) == isa.encode(insn, hardware)


@pytest.mark.parametrize("target", list_targets())
@pytest.mark.parametrize("instruction", INSTRUCTIONS, ids=lambda i: i.name)
def test_every_field_holds_its_limit_and_no_more(target: str, instruction) -> None:
    hardware = load_hardware(target)
    for field in instruction.fields:
        limit = isa.layout_of(hardware).limit(instruction.name, field.name)
        most = len(field.names) - 1 if field.names else limit
        word = isa.encode(isa.Insn(instruction.name, {field.name: most}), hardware)
        assert isa.decode(word, hardware).fields[field.name] == most
        refusal = f"'{field.name}': value {limit + 1} does not fit in [0-9]+ bits, (0|-[0-9]+) to {limit}$"
        with pytest.raises(ProgramError, match=refusal):
            isa.encode(isa.Insn(instruction.name, {field.name: limit + 1}), hardware)


def test_codes_without_a_name_are_refused() -> None:
    message = "VEC: field 'op' has no code 9; its codes are 0 = mov, 1 = max, .*, 7 = sub, 8 = scale"
    with pytest.raises(ProgramError, match=message):
        isa.encode(isa.Insn("VEC", {"op": 9}), BASE)
    word = int.from_bytes(isa.encode(isa.Insn("VEC"), BASE), "little")
    reserved = word | 9 << isa.layout_of(BASE).slots["VEC"]["op"].shift
    with pytest.raises(ProgramError, match=message):
        isa.decode(reserved.to_bytes(32, "little"), BASE)


def test_fields_do_not_overlap() -> None:
    for instruction in INSTRUCTIONS:
        slots = isa.layout_of(BASE).slots[instruction.name].values()
        covered = [slot.mask << slot.shift for slot in slots]
        assert sum(covered) == (1 << sum(slot.width for slot in slots)) - 1
    assert len({instruction.opcode for instruction in INSTRUCTIONS}) == len(INSTRUCTIONS)
    assert all(0 < instruction.opcode < 1 << int(OPCODE.width) for instruction in INSTRUCTIONS)


@given(st.lists(st.tuples(*(st.integers(0, 400) for _ in range(3))), max_size=20))
def test_micro_ops_round_trip(uops: list[tuple[int, int, int]]) -> None:
    assert isa.decode_uops(isa.encode_uops(uops, BASE), BASE) == uops


def test_listing_round_trips_with_comments() -> None:
    text = "LOAD.inp sram_base=3 z_size=2 x_size=1 y_size=1 push_store  # first\n\nFINISH pop_load\n"
    assert isa.assemble_all(isa.disassemble_all(isa.assemble_all(text))) == isa.assemble_all(text)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        (bytes(32), "opcode 0"),
        (b"\x05" + b"\xff" * 31, "SYNC: reserved bits"),
        (bytes(31), "32 bytes, not 31"),
    ],
)
def test_bad_words_are_refused(word: bytes, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        isa.decode(word, BASE)


def test_a_bad_word_in_a_program_is_located() -> None:
    with pytest.raises(ProgramError, match="instruction 1: opcode 31"):
        isa.decode_all(isa.encode(isa.Insn("SYNC"), BASE) + b"\x1f" + bytes(31), BASE)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("JUMP", "unknown instruction 'JUMP'"),
        ("LOAD z_size=1", "write LOAD.<memory>"),
        ("LOAD.out", "unknown memory 'out'"),
        ("GEMM.inp", "takes no memory"),
        ("GEMM iter_out=x", "cannot read 'iter_out=x'; iter_out is a decimal number"),
        ("GEMM iter_out=1 iter_out=2", "cannot read 'iter_out=2'; fields are reset, "),
        ("GEMM bogus=1", "cannot read 'bogus=1'; fields are reset, "),
        ("GEMM uop_begin=-1", "cannot read 'uop_begin=-1'; uop_begin is not signed"),
        ("VEC imm=--5", "cannot read 'imm=--5'; imm is a decimal number"),
        ("VEC op=div", "cannot read 'op=div'; codes of op are mov, max, .*, table, sub, scale"),
        ("VEC op=9", "cannot read 'op=9'; codes of op are mov, max, .*, table, sub, scale"),
        ("VEC src=-1", "cannot read 'src=-1'; codes of src are inp, imm, acc"),
    ],
)
def test_bad_assembly_names_the_word(line: str, message: str) -> None:
    with pytest.raises(ProgramError, match=f"line 2: .*{message}"):
        isa.assemble_all("SYNC\n" + line)


@pytest.mark.parametrize("value", [-(1 << 31), -5, -1, 1, (1 << 31) - 1])
def test_the_immediate_is_a_signed_number(value: int) -> None:
    line = f"VEC op=max src=imm imm={value} pop_load"
    insn = isa.assemble(line)
    assert insn.fields["imm"] == value
    word = isa.encode(insn, BASE)
    shift = isa.layout_of(BASE).slots["VEC"]["imm"].shift
    assert (int.from_bytes(word, "little") >> shift) & 0xFFFFFFFF == value % (1 << 32)
    assert isa.disassemble(isa.decode(word, BASE)) == isa.disassemble(insn)
    assert f" imm={value} " in isa.disassemble(isa.decode(word, BASE))


@pytest.mark.parametrize("value", [-(1 << 31) - 1, 1 << 31, 0xFFFFFFFB])
def test_an_immediate_beyond_its_range_is_refused(value: int) -> None:
    with pytest.raises(
        ProgramError, match=f"'imm': value {value} does not fit in 32 bits, -2147483648 to 2147483647"
    ):
        isa.encode(isa.assemble(f"VEC src=imm imm={value}"), BASE)


def test_a_code_is_also_written_as_its_number() -> None:
    assert isa.assemble("VEC op=1 src=0") == isa.assemble("VEC op=max src=inp")


def test_micro_op_index_beyond_its_field_is_refused() -> None:
    with pytest.raises(ProgramError, match="index 'wgt' up to 1024 does not fit in 10 bits"):
        isa.encode_uops([(0, 0, 1024)], BASE)


def test_the_largest_scratchpads_fit_an_instruction() -> None:
    kib = {"uop": 1024, "par": 1024} | dict.fromkeys(("inp", "wgt", "acc", "out"), 8192)
    sizes = BASE.scratchpads.model_copy(update={f"{pad}_kib": size for pad, size in kib.items()})
    isa.layout_of(BASE.model_copy(update={"scratchpads": sizes}))


def test_an_instruction_that_overflows_is_named(monkeypatch) -> None:
    monkeypatch.setattr(layout, "INSTRUCTION_BITS", 100)
    with pytest.raises(ConfigError, match=r"[A-Z]+ needs 1[0-9]+ bits of 100"):
        layout.layout_of.__wrapped__(BASE)
