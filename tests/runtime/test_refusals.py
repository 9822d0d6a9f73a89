"""Malformed programs end in an error that names layer, instruction, field and limit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tvm_ffi
from tests.runtime.conftest import Conv, Program, hardware, insn, load, store

from tvm_vsq import isa
from tvm_vsq.errors import ProgramError
from tvm_vsq.runtime import native

HW = hardware()
FINISH = insn("FINISH")
LOADED = insn("FINISH", "pop_load")


def refusal(insns: list[isa.Insn], **changes: object) -> str:
    with pytest.raises(ProgramError) as caught:
        native.create_module(HW.sim_params(), [{**Program(HW, insns).data(), **changes}], "")
    return str(caught.value)


@pytest.mark.parametrize("opcode", [0, 31])
def test_unknown_opcodes(opcode: int) -> None:
    code = opcode.to_bytes(32, "little") + isa.encode(FINISH, HW)
    message = refusal([FINISH, FINISH], instructions=code)
    assert message == f"program 'main': layer 'conv1', instruction 0: opcode {opcode} is not an instruction"


def test_reserved_bits() -> None:
    assert "reserved bits above bit 14 are set" in refusal(
        [FINISH], instructions=(6 | 1 << 255).to_bytes(32, "little")
    )


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (
            load("inp", 900, 0, 11),
            r"instruction 0 \(LOAD\): field sram_base 900 \+ 11 entries exceeds the 910 entries of .* inp",
        ),
        (load("wgt", 0, 0, 0), "field z_size is 0"),
        (load("inp", 0, 0, 1, x_size=0), "transfer nothing"),
        (load("inp", 0, (1 << 16) - 4, 1), "ends at byte 65537 of 65536"),
        (load("inp", 0, 0, 1, y_size=20, y_stride=700), r"ends at byte 66505 of 65536"),
        (load("inp", 0, 0, 1, "pop_load"), "pop_load is set, but load has no queue to or from load"),
        (store("out", 0, 0, 1, "push_store"), "push_store is set, but store has no queue to or from store"),
        (store("acc", 500, 0, 13), "field sram_base 500 .* 512 entries of scratchpad acc"),
        (store("out", 0, 0, 1, x_size=0), "x_size is 0"),
        (insn("GEMM", uop_count=1, iter_in=1), "iter_out is 0"),
        (
            insn("GEMM", uop_begin=600, uop_count=30, iter_in=1, iter_out=1),
            "uop_begin 600 .* of scratchpad uop",
        ),
        (insn("PPU", pixels=1), "blocks is 0"),
        (insn("PPU", pixels=513, blocks=1), "acc_base 0 .* 513 entries"),
        (insn("PPU", pixels=1, blocks=1, out_base=910), "out_base 910"),
        (insn("PPU", pixels=1, blocks=94, wide=1), "par_base 0 .* 94 entries"),
        (insn("PPU", pixels=1, blocks=1, residual=1, res_base=910), "res_base 910"),
        (insn("PPU", pixels=1, blocks=1, residual=1, res_shift=63), "res_shift is 63"),
    ],
)
def test_fields_out_of_range(bad: isa.Insn, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        Program(HW, [bad, FINISH]).module()


def test_programs_need_one_finish_at_the_end() -> None:
    assert "no FINISH" in refusal([insn("SYNC")])
    assert "no FINISH" in refusal([])
    assert "instruction 0 (FINISH): FINISH must be the last of the 2 instructions" in refusal(
        [FINISH, FINISH]
    )


def test_buffers_of_the_wrong_length() -> None:
    assert "15 bytes are not a whole number" in refusal([FINISH], instructions=bytes(15))
    assert "layer_ids holds 3 bytes; 1 instructions need 4" in refusal([FINISH], layer_ids=bytes(3))
    assert "layer id 1 of 1 layers" in refusal([FINISH], layer_ids=b"\1\0\0\0")
    assert "the image of 2 bytes exceeds dram_bytes = 1" in refusal([FINISH], image=bytes(2), dram_bytes=1)
    assert "the accelerator has 1048576" in refusal([FINISH], dram_bytes=1 << 21)
    assert "dram_bytes is -1" in refusal([FINISH], dram_bytes=-1)


@pytest.mark.parametrize(
    ("descriptor", "message"),
    [
        ([0, 0, 1, 8, 1], "8 lanes, must be vector_size"),
        ([3, 0, 1, 9, 1], "input 0: kind 3"),
        ([0, -1, 1, 9, 1], "dram_offset -1"),
        ([0, 65532, 1, 9, 1], "exceed the 65536 bytes"),
        ([0, 0, 2**62, 9, 1], "do not fit"),
        ([0, 0, 0, 9, 1], "0 rows"),
        ([0, 0, 1, 9, 2], "signed is 2"),
        ([0, 0, 1], "rows are"),
    ],
)
def test_bad_descriptors(descriptor: list[int], message: str) -> None:
    assert message in refusal([FINISH], inputs=[descriptor])


def test_deadlocks_name_every_waiting_engine() -> None:
    message = refusal([insn("SYNC", "pop_load"), store("out", 0, 0, 1, "pop_compute"), insn("FINISH")])
    assert "deadlock: compute waits for a token from load at layer 'conv1', instruction 0 (SYNC)" in message
    assert "store waits for a token from compute at layer 'conv1', instruction 1 (STORE)" in message


def test_a_deadlock_of_full_queues_names_the_queue() -> None:
    # token_queue_depth 2 and command_queue_depth 4: compute never takes the tokens, then LOADs pile up.
    loads = [load("inp", 0, 0, 1, "push_compute") for _ in range(24)]
    message = refusal([insn("SYNC", "pop_store"), *loads, FINISH])
    assert "load waits for room for a token to compute (2 are queued)" in message
    assert "fetch waits for room in the queue of load (4 are queued)" in message


def test_tokens_left_over() -> None:
    assert "1 from load to compute that no instruction pops" in refusal(
        [load("inp", 0, 0, 1, "push_compute"), FINISH]
    )


def test_a_token_must_be_pushed_before_it_is_popped_in_program_order() -> None:
    message = refusal([insn("SYNC", "pop_load"), load("inp", 0, 0, 1, "push_compute"), FINISH])
    assert "instruction 0 (SYNC): pops a token from load that no earlier instruction pushes" in message


def test_finish_must_wait_for_every_transfer() -> None:
    message = refusal([load("inp", 0, 0, 1), FINISH])
    assert "no token makes FINISH wait for layer 'conv1', instruction 0 (LOAD)" in message


def test_a_load_behind_an_unordered_store_to_the_same_bytes_is_a_race() -> None:
    def insns(address: int) -> list[isa.Insn]:
        stores = store("out", 0, 0, 4)
        return [stores, load("inp", 0, address, 1, "push_store"), insn("FINISH", "pop_load")]

    assert "instruction 1 (LOAD): race on DRAM byte 16" in refusal(insns(16))
    # The byte behind the STORE's last; what is stored was never written, though.
    Program(HW, insns(20)).module(verify=False)


def test_a_program_that_runs_too_long_is_refused() -> None:
    gemm = insn("GEMM", reset=1, uop_count=100, iter_out=1000, iter_in=1000)
    with pytest.raises(ProgramError, match="more than max_cycles = 1000000"):
        Program(HW, [gemm, FINISH]).module(max_cycles=1_000_000)


def load_error(program: Program) -> str:
    with pytest.raises(ProgramError, match="program 'main'") as caught:
        program.module()
    return str(caught.value)


def run_error(program: Program, *arrays: np.ndarray) -> str:
    with pytest.raises(ValueError, match="program 'main'") as caught:
        program.module()["main"](*(tvm_ffi.from_dlpack(array) for array in arrays))
    return str(caught.value)


def test_reading_an_entry_that_was_never_written() -> None:
    gemm = insn("GEMM", "pop_load push_store", uop_count=1, iter_out=1, iter_in=1)
    assert "reads entry 0 of scratchpad uop, which nothing has written" in load_error(
        Program(HW, [load("inp", 0, 0, 1, "push_compute"), gemm, insn("FINISH", "pop_compute")])
    )
    assert "reads entry 3 of scratchpad out" in load_error(Program(HW, [store("out", 3, 0, 1), FINISH]))


def test_micro_ops_out_of_range() -> None:
    reset = insn(
        "GEMM", "pop_load push_store", reset=1, uop_count=1, iter_out=2, iter_in=3, acc_out=500, acc_in=10
    )
    program = Program(HW, [load("uop", 0, 0, 1, "push_compute"), reset, insn("FINISH", "pop_compute")])
    assert "micro-op 0: acc index 0 reaches 520 in the last iteration; the scratchpad has 512" in load_error(
        program
    )


def test_micro_ops_must_be_constants() -> None:
    # Micro-ops have 4 bytes, so that five of them end before byte 20.
    stored = store("out", 0, 16, 1, "pop_compute")
    sync = insn("SYNC", "pop_load push_store")
    insns = [load("uop", 0, 0, 5, "push_compute"), sync, stored, FINISH]
    assert (
        "instruction 0 (LOAD): micro-ops must be constants, but layer 'conv1', instruction 2 (STORE) writes "
        "DRAM byte 16"
    ) in load_error(Program(HW, insns))
    program = Program(HW, [load("uop", 0, 0, 5, "push_store"), LOADED], inputs=[[0, 16, 1, 9, 1]])
    assert (
        "instruction 0 (LOAD): micro-ops must be constants, but an input writes DRAM byte 16"
        in load_error(program)
    )
    replace(program, inputs=[[0, 20, 1, 9, 1]]).module()


def test_overwriting_what_may_still_be_read_is_a_race(small_conv: Conv) -> None:
    program = small_conv.program()
    # A LOAD into the input between GEMM and PPU, ordered before the PPU only.
    late = load("inp", 2, 0, 1, "push_ppu")
    ppu = insn("PPU", "pop_compute pop_load push_store", **program.insns[6].fields)
    racing = program.replaced(6, [late, ppu])
    message = load_error(racing)
    assert "instruction 6 (LOAD): race: overwrites entry 2 of scratchpad inp" in message
    assert "behind layer 'conv1', instruction 5 (GEMM)" in message


def test_reading_what_may_still_be_written_is_a_race(small_conv: Conv) -> None:
    program = small_conv.program()
    ppu, stored = program.insns[6], program.insns[7]
    passing = [insn("PPU", "pop_compute push_compute", **ppu.fields), insn("SYNC", "pop_ppu push_store")]
    behind = insn("STORE", "pop_compute", **stored.fields)
    racing = replace(program, insns=[*program.insns[:6], *passing, behind, *program.insns[8:]])
    racing.module()  # ordered: the SYNC waits for the PPU, and the STORE for the SYNC
    early = [insn("SYNC", "push_store"), insn("PPU", "pop_compute push_store", **ppu.fields)]
    end = insn("FINISH", "pop_ppu")
    racing = replace(program, insns=[*program.insns[:6], *early, behind, end])
    message = load_error(racing)
    assert stored.name == "STORE"
    assert "instruction 8 (STORE): race: reads entry 0 of scratchpad out" in message


def test_accumulators_that_do_not_fit_int32_cannot_be_stored() -> None:
    hw = hardware(
        accumulator_bits=46, weight_bits=8, activation_bits=8, weight_scale_bits=10, activation_scale_bits=10
    )
    x, w = np.full((1, 1, 9, 9), 127, np.int16), np.full((8, 1, 1, 9, 9), 127, np.int16)
    x[..., -1] = w[..., -1] = 1023
    conv = Conv(hw, x, w, np.tile(np.array([1, 0, 0, 2**31 - 1], np.int32), (8, 1)), wide=True)
    assert (conv.run() == 2**31 - 1).all()
    program = conv.program()
    stored = insn("STORE", "pop_compute", **program.insns[7].fields)
    gemm = insn("GEMM", "push_store", **program.insns[5].fields)
    raw = replace(program, insns=[*program.insns[:5], gemm, stored, *program.insns[8:]])
    assert "which does not fit int32" in run_error(raw, x, np.zeros((1, 1, 8), np.int32))


def test_ppu_parameters_out_of_range(small_conv: Conv) -> None:
    for column, value, message in (
        (1, 63, "shift is 63"),
        (0, 65535, "mult is 65535, but multiplier_bits is 12"),
    ):
        params = small_conv.params.copy()
        params[3, column] = value
        conv = Conv(hardware(multiplier_bits=12), small_conv.x, small_conv.w, params)
        with pytest.raises(ValueError, match=rf"\(PPU\): par entry 0, lane 3: {message}"):
            conv.run()
