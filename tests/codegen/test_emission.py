"""Scratchpad use, DRAM layout, splitting, determinism and what a program tells about itself."""

from __future__ import annotations

import numpy as np
import pytest

from tvm_vsq.codegen import emit_layer
from tvm_vsq.errors import ProgramError, ScheduleError
from tvm_vsq.isa import INSTRUCTION_BYTES, decode_all
from tvm_vsq.schedule import Convolution, Knobs

WORK = Convolution(2, 6, 6, 2, 4, 3, 2, padding=(1, 0, 1, 1), has_residual=True)


def test_weights_that_fit_are_loaded_once(cases):
    hw = cases.hardware()
    code = emit_layer(WORK, Knobs(2, 3, 4, 2), hw)
    loads = [i for i in decode_all(code.instructions, hw) if i.name == "LOAD" and i.fields["mem"] == 2]
    assert len(loads) == 1


@pytest.mark.parametrize(("order", "loads"), [("k_outer", 4), ("hw_outer", 12 * 4)])
def test_the_loop_order_decides_how_often_weights_are_loaded(cases, order, loads):
    hw = cases.hardware()
    code = emit_layer(WORK, Knobs(2, 3, 1, 2, order), hw)
    insns = decode_all(code.instructions, hw)
    assert sum(i.name == "LOAD" and i.fields["mem"] == 2 for i in insns) == loads


def test_a_long_dense_layer_is_split_at_every_field_limit(cases, machine):
    """1500 rows exceed the 10-bit sizes of DMA and GEMM loops; 300 micro-ops exceed half the scratchpad."""
    pads = {"inp_kib": 64, "acc_kib": 64, "out_kib": 64}
    network = cases.Network(cases.hardware(scratchpads=pads), np.random.default_rng(2))
    network.input("x", (1, 1, 1500, 8))
    network.conv("x", 8, knobs=Knobs(1, 1500, 1, 1), output=True)
    cases.check(machine, network, network.program(), machine.run_in_order)


def test_micro_ops_beyond_the_scratchpad_are_split(cases, machine):
    network = cases.Network(
        cases.hardware(scratchpads={"inp_kib": 4, "wgt_kib": 64}), np.random.default_rng(2)
    )
    network.input("x", (1, 3, 3, 56))
    network.conv("x", 56, (3, 3), padding=(1, 1, 1, 1), knobs=Knobs(3, 3, 7, 7), output=True)
    cases.check(machine, network, network.program(), machine.run_in_order)


def test_compiling_twice_gives_the_same_bytes(cases):
    one, two = (cases.random_network(7).program() for _ in range(2))
    assert one == two


def test_every_instruction_is_listed_with_its_layer(cases):
    program = cases.random_network(3).program()
    lines = program.disassemble().splitlines()
    assert lines[0] == f"# program {program.name}: {len(program)} instructions"
    assert len(lines) == 1 + len(program) == 1 + len(program.instructions) // INSTRUCTION_BYTES
    assert [line.split()[-1] for line in lines[1:]] == [program.layer_names[i] for i in program.layer_ids]
    assert lines[-1].startswith("FINISH")


def test_only_channels_that_exist_count_as_useful(cases):
    network = cases.Network(cases.hardware(), np.random.default_rng(0))
    network.input("x", (1, 5, 5, 8))
    network.conv("x", 3, (3, 3), output=True)
    (record,) = network.program().layers
    assert record.macs == 3 * 3 * 8 * 3 * 3 * 3
    assert record.shape == "5x5x8 > 3x3x3(8) 3x3"
    assert (record.channels, record.padded_channels) == ((8, 3), (8, 8))


def test_a_full_dram_names_layer_and_sizes(cases):
    network = cases.Network(cases.hardware(dram={"capacity_mib": 1}), np.random.default_rng(0))
    network.input("x", (8, 128, 128, 8))
    network.conv("x", 8, knobs=Knobs(8, 8, 1, 1), output=True)
    with pytest.raises(
        ProgramError,
        match=r"layer 'layer0': result 0 of 'layer0' needs 0\.62 MiB of DRAM, 0\.63 MiB are in use",
    ):
        network.program()


def test_an_illegal_schedule_names_the_layer(cases):
    with pytest.raises(ScheduleError, match=r"layer 'stem'.*accumulator scratchpad needs"):
        emit_layer(Convolution(1, 64, 64, 1, 4), Knobs(64, 64, 4, 1), cases.hardware(), "stem")
