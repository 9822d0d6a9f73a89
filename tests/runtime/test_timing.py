"""Cycles, computed by hand from the formulas of docs/simulator.md."""

from __future__ import annotations

from itertools import product

from tests.runtime.conftest import Conv, Program, hardware, insn, load, store

from tvm_vsq import isa
from tvm_vsq.hardware.events import EVENTS
from tvm_vsq.runtime import native

# hardware(): fetch 1, DMA setup 8, row miss 20, GEMM 8, PPU 10, latency 100 cycles; 16 bytes a cycle, bursts
# of 64 bytes, rows of 4096; an activation record has 8 * 4 + 4 bits = 5 bytes.
HW = hardware()
WORD = 32
UNITS = ("fetch", "load", "compute", "vector", "ppu", "store")
COMPUTE, VECTOR, PPU, STORE = (UNITS.index(unit) for unit in ("compute", "vector", "ppu", "store"))
FIRST = 4 + 100 + 1  # the first burst of instructions, its latency, the first instruction decoded


def events(timing: dict[str, object], layer: int = 0) -> dict[str, int]:
    return dict(zip(EVENTS, timing["events"][layer], strict=True))  # type: ignore[index]


def test_finish_alone_takes_its_fetch_and_one_cycle() -> None:
    timing = Program(HW, [insn("FINISH")]).timing()
    assert timing["cycles"] == FIRST + 1
    assert [tuple(row) for row in timing["units"]] == [(1, 104), (0, 0), (0, 0), (0, 0), (0, 0), (1, 0)]
    assert events(timing)["instructions"] == 1
    assert events(timing)["dram_read_bytes"] == WORD


def test_a_load_takes_setup_transfer_and_latency() -> None:
    # Set up 8, row 20, 20 bytes are one burst = 4 cycles, 100 until visible, FINISH.
    program = Program(HW, [load("inp", 0, 0, 4, "push_store"), insn("FINISH", "pop_load")])
    timing = program.timing()
    assert timing["cycles"] == FIRST + 8 + 20 + 4 + 100 + 1
    assert list(timing["units"][1]) == [8 + 4, 20]
    assert list(timing["units"][STORE]) == [1, 8 + 20 + 4 + 100 - 1]


def test_loads_overlap_their_latency() -> None:
    # The second starts when the first has left the channel.
    loads = [load("inp", 0, 0, 4), load("inp", 4, 0, 4, "push_store")]
    assert Program(HW, [*loads, insn("FINISH", "pop_load")]).timing()["cycles"] == (
        FIRST + 2 * (8 + 20 + 4) + 100 + 1
    )


def test_load_and_store_take_turns_on_the_channel() -> None:
    # LOAD asks for 5 bursts at FIRST + 28, STORE for one a cycle later; it gets the second turn.
    program = Program(
        HW,
        [
            load("inp", 0, 0, 64, "push_store"),
            store("out", 0, 4096, 4),
            insn("FINISH", "pop_load"),
        ],
    )
    timing = program.timing()
    assert timing["cycles"] == FIRST + 28 + 6 * 4 + 100 + 1
    assert list(timing["units"][1]) == [8 + 5 * 4, 20 + 4]
    # STORE, then FINISH, which waits until all that was loaded is there.
    assert timing["units"][STORE][0] == 8 + 4 + 1
    assert events(timing)["dram_read_bytes"] == 3 * WORD + 5 * 64
    assert events(timing)["dram_write_bytes"] == 64


def test_bursts_are_counted_per_contiguous_piece_and_alignment() -> None:
    def read_bytes(*args: int, **fields: int) -> int:
        insns = [load("inp", 0, *args, "push_store", **fields), insn("FINISH", "pop_load")]  # type: ignore[arg-type]
        return events(Program(HW, insns).timing())["dram_read_bytes"] - 2 * WORD

    assert read_bytes(0, 12) == 64  # 60 bytes
    assert read_bytes(0, 13) == 128  # 65 bytes
    assert read_bytes(60, 1) == 128  # 5 bytes across a border
    assert read_bytes(0, 1, x_size=12, x_stride=1) == 64  # groups that touch are one piece
    assert read_bytes(0, 1, x_size=12, x_stride=2) == 12 * 64 + 64  # byte 60 starts a piece across a border
    assert read_bytes(0, 3, x_size=2, x_stride=3, y_size=2, y_stride=6) == 64  # so are rows
    assert read_bytes(0, 3, x_size=2, x_stride=3, y_size=2, y_stride=64) == 2 * 64


def test_border_entries_take_scratchpad_ports_and_no_channel() -> None:
    # 2 rows of 20 border entries around one row of 20: max(2 bursts * 4, 60 entries / 4 banks) cycles.
    padded = load("inp", 0, 0, 1, "push_store", x_size=20, x_stride=1, y_pad_top=1, y_pad_bottom=1)
    timing = Program(HW, [padded, insn("FINISH", "pop_load")]).timing()
    assert list(timing["units"][1]) == [8 + 2 * 4, 20 + 15 - 8]
    assert events(timing)["inp_write_bits"] == 60 * 36
    # Nothing but border: no DRAM at all.
    border = load("inp", 0, 0, 3, "push_store", x_size=0, y_size=0, y_pad_top=2, x_pad_left=5)
    timing = Program(HW, [border, insn("FINISH", "pop_load")]).timing()
    assert list(timing["units"][1]) == [8, 30 // 4 + 1]
    assert events(timing)["dram_read_bytes"] == 2 * WORD


def test_gemm_and_ppu_take_one_cycle_per_block(small_conv: Conv) -> None:
    timing = small_conv.program().timing()
    pixels, micro_ops = 4, 4 * 9
    gemm_cycles = (8 + pixels) + (8 + micro_ops)
    assert timing["units"][COMPUTE][0] == gemm_cycles
    assert timing["units"][PPU][0] == 10 + pixels
    counts = events(timing)
    assert counts["macs"] == micro_ops * 64
    assert counts["scale_products"] == counts["scale_macs"] == micro_ops * 8
    assert counts["ppu_lane_ops"] == counts["quantize_lane_ops"] == pixels * 8
    assert counts["wgt_read_bits"] == micro_ops * 8 * 36
    assert counts["acc_write_bits"] == (pixels + micro_ops) * 8 * 32
    assert counts["acc_read_bits"] == (micro_ops + pixels) * 8 * 32
    assert counts["out_read_bits"] == counts["out_write_bits"] == pixels * 36


def test_vec_takes_one_cycle_per_block_and_counts_what_its_operation_touches() -> None:
    """A micro-op is on a channel group: two blocks of 4 lanes, or four vectors of 8."""

    def vec(lanes: int, op: str, src: str) -> tuple[int, dict[str, int]]:
        kind = {field: isa.code_of("VEC", field, name) for field, name in (("op", op), ("src", src))}
        loops = {"uop_count": 5, "iter_out": 3, "iter_in": 2}
        program = Program(hardware(output_lanes=lanes), [insn("VEC", **kind, **loops), insn("FINISH")])
        timing = program.timing()
        return timing["units"][VECTOR][0], events(timing)

    groups = 5 * 3 * 2
    operations = (*product(("mov", "max", "add", "min", "mul"), ("inp", "imm")), ("mac", "inp"))
    for op, src in operations:
        cycles, counts = vec(4, op, src)
        assert cycles == 6 + groups * 2
        assert counts["vector_lane_ops"] == groups * 8
        assert counts["unpack_lane_ops"] == (groups * 8 if src == "inp" else 0)
        assert counts["inp_read_bits"] == (groups * 36 if src == "inp" else 0)
        assert counts["coefficient_lane_ops"] == (groups * 8 if op == "mac" else 0)
        assert counts["product_lane_ops"] == (groups * 8 if op == "mul" else 0)
        assert counts["acc_read_bits"] == (0 if op == "mov" else groups * 8 * 32)
        assert counts["acc_write_bits"] == groups * 8 * 32
        cycles, counts = vec(32, op, src)
        assert cycles == 6 + groups
        assert counts["vector_lane_ops"] == groups * 32
        assert counts["inp_read_bits"] == (groups * 4 * 36 if src == "inp" else 0)


def test_a_scale_unit_that_is_absent_counts_nothing() -> None:
    gemm = [insn("GEMM", uop_count=1, iter_out=1, iter_in=1), insn("FINISH")]
    one = events(Program(hardware(weight_scale_bits=None), gemm).timing())
    none = events(Program(hardware(weight_scale_bits=None, activation_scale_bits=None), gemm).timing())
    assert (one["scale_products"], one["scale_macs"]) == (0, 8)
    assert (none["scale_products"], none["scale_macs"]) == (0, 0)


def test_fetch_stalls_at_a_full_queue() -> None:
    slow = insn("GEMM", uop_count=100, iter_out=1, iter_in=1)
    last = insn("GEMM", "push_store", uop_count=100, iter_out=1, iter_in=1)
    hw = hardware(timing={"fetch_buffer_bursts": 8})  # so that instructions come two a burst of 4 cycles
    timing = Program(hw, [*[slow] * 5, last, insn("FINISH", "pop_compute")]).timing()
    # The 1st is taken at FIRST and the next four fill the queue 8 cycles later, two of which the 3rd and the
    # 5th each had to wait for; the 6th waits until the 2nd is taken.
    assert timing["units"][0][1] == (FIRST - 1) + 2 + 2 + (108 - 9)
    assert timing["cycles"] == FIRST + 6 * 108 + 1


def test_completion_of_layers() -> None:
    program = Program(HW, [insn("SYNC"), insn("SYNC", "push_store"), insn("FINISH", "pop_compute")])
    data = program.data()
    data["layer_ids"] = b"".join(layer.to_bytes(4, "little") for layer in (2, 0, 0))
    data["layer_names"] = ["a", "b", "c"]
    module = native.create_module(HW.sim_params(), [data], "")
    (profile,) = module["get_timing"]()
    # FINISH comes with the second burst of instructions.
    assert list(profile["layer_end"]) == [FIRST + 4 + 1, 0, FIRST + 1]
