"""Relax regions become programs: several results, residuals from anywhere, schedules, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from tests.seeds import first_of
from tvm import relax

from tvm_vsq.codegen import lower_region, region_workloads
from tvm_vsq.errors import ProgramError
from tvm_vsq.schedule import Database, Record, default_knobs, fingerprint

SAME = {"padding": (1, 1, 1, 1)}


def network_of(cases, hw, *inputs, channels=8):
    """Without layers; every input has 4 x 5 pixels."""
    network = cases.Network(hw, np.random.default_rng(0))
    for name in inputs:
        network.input(name, (1, 4, 5, channels))
    return network


def three_layers(cases, hw, **changes):
    """conv a -> conv b with a as residual -> wide dense c; results c and b. `changes` are attributes of b."""
    network = network_of(cases, hw, "x", channels=12)
    a = network.conv("x", 12, (3, 3), relu=True, signed=False, **SAME)
    b = network.conv(a, 12, (3, 3), residual=a, output=True, **SAME, **changes)
    network.dense(b, 9, wide=True, output=True)
    return network


@pytest.mark.parametrize(
    "arrays", first_of([{}, {"output_lanes": 32}, {"output_lanes": 4, "scale_product_bits": 6}], 2)
)
def test_a_region_computes_what_its_operators_compute_on_the_cpu(cases, machine, arrays):
    """A residual read twice, an inner tensor, a result that is also read on chip, and a wide result."""
    network = three_layers(cases, cases.hardware(scratchpads={"acc_kib": 8, "inp_kib": 2}, **arrays))
    program = network.program()
    cases.check(machine, network, program, lambda device: machine.run_interleaved(device, 1))
    network.simulate(program)
    built = tvm.compile(relax.transform.LegalizeOps()(network.module()), target="llvm")
    on_cpu = relax.VirtualMachine(built, tvm.cpu())["main"](tvm.runtime.tensor(network.values["x"]))
    for name, result in zip(network.outputs, on_cpu, strict=True):
        np.testing.assert_array_equal(result.numpy(), network.values[name])
    found = [(layer.name, layer.op) for layer in program.layers]
    assert found == [("layer0", "conv2d"), ("layer1", "conv2d"), ("layer2", "dense")]


def test_results_in_the_middle_and_at_the_end(cases):
    network = network_of(cases, cases.hardware(), "x")
    a = network.conv("x", 8, (3, 3), output=True, **SAME)
    b = network.conv(a, 8, output=True)
    network.conv(b, 8, (3, 3), wide=True, output=True, **SAME)
    network.simulate(network.program())


def test_a_residual_from_outside_the_region(cases):
    network = network_of(cases, cases.hardware(), "x", "r")
    network.conv(network.conv("x", 8, (3, 3), **SAME), 8, residual="r", output=True)
    network.simulate(network.program())
    assert sorted(network.inputs) == ["r", "x"]


def test_an_input_with_three_readers_once_as_its_own_residual(cases):
    network = network_of(cases, cases.hardware(), "x")
    a = network.conv("x", 8, (3, 3), residual="x", **SAME)
    b = network.conv("x", 8, residual=a)
    network.conv(b, 8, (3, 3), residual="x", output=True, **SAME)
    network.simulate(network.program())
    assert network.inputs == ["x"]


def test_a_result_that_is_also_read_as_input_and_residual(cases):
    """Results are stored without padding: with 8 channels and 16 lanes, other tensors are not."""
    network = network_of(cases, cases.hardware(output_lanes=16), "x")
    a = network.conv("x", 8, (3, 3), output=True, **SAME)
    network.conv(a, 8, residual=a, output=True)
    network.conv(a, 8, (3, 3), wide=True, output=True, **SAME)
    network.simulate(network.program())


def test_workloads_are_listed_by_layer_in_program_order(cases):
    network = network_of(cases, cases.hardware(), "x")
    network.conv(network.conv("x", 8, (3, 3), **SAME), 8, output=True)
    found = region_workloads(network.region(), network.hw)
    assert [name for name, _ in found] == ["layer0", "layer1"]
    assert [(work.oh, work.ow, work.r) for _, work in found] == [(4, 5, 3), (4, 5, 1)]


def test_tuned_schedules_are_used_for_exactly_their_workload(cases):
    hw = cases.hardware()
    region = three_layers(cases, hw).region()
    work = dict(region_workloads(region, hw))["layer1"]
    tuned = default_knobs(work, hw, "b").to_dict() | {
        "order": "hw_outer",
        "double_buffer": False,
        "tile_h": 1,
    }
    record = Record(
        workload=work.key, hardware=fingerprint(hw), knobs=tuned, cycles=1, default_cycles=1, trials=1
    )
    program = lower_region(region, hw, Database(records=(record,)))
    assert [layer.tuned for layer in program.layers] == [False, True, False]
    assert program.layers[1].knobs == tuned


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"out_bits": 6}, "layer 'layer1': its result has elements of 6 bits.*precision_passes=1"),
        ({"guard_bits": 1}, "layer 'layer1': guard_bits=1, but accelerator 'small' has 2"),
        ({"act_signed": 1}, "layer 'layer1' reads result 0 of 'layer0' as signed.*stored with unsigned"),
        (
            {"res_signed": 1},
            "layer 'layer1' reads result 0 of 'layer0' as signed.*act_signed, other_signed or res_signed",
        ),
    ],
)
def test_a_region_for_other_hardware_is_refused(cases, changes, message):
    network = three_layers(cases, cases.hardware(), **changes)
    with pytest.raises(ProgramError, match=message):
        network.program()


def test_weights_of_more_digits_than_passes_are_refused(cases):
    network = three_layers(cases, cases.hardware(weight_bits=8))
    with pytest.raises(ProgramError, match=r"layer 'layer0': its weights need 2 digits of 4 bits.*passes=1"):
        lower_region(network.region(), cases.hardware(), Database())


def test_readers_that_disagree_about_the_sign_are_refused(cases):
    network = network_of(cases, cases.hardware(), "x")
    network.conv(network.conv("x", 8), 8, residual="x", res_signed=0, output=True)
    with pytest.raises(ProgramError, match="layer 'layer1' reads input 0 as unsigned"):
        network.program()


def test_dram_that_is_too_small_is_named_with_layer_and_mib(cases):
    hw = cases.hardware(dram={"capacity_mib": 1}, scratchpads={"wgt_kib": 64})
    network = cases.Network(hw, np.random.default_rng(0))
    network.input("x", (1, 2, 2, 512))
    network.conv("x", 512, (3, 3), padding=(1, 1, 1, 1), output=True)
    with pytest.raises(ProgramError) as error:
        network.program()
    # A weight vector is 8 elements of 4 bits and a 4-bit scale.
    mib = 512 * 64 * 9 * 36 / 8 / 2**20
    assert f"layer 'layer0': the weights of 'layer0' (layer 0) needs {mib:.2f} MiB of DRAM" in str(
        error.value
    )
    assert "1 MiB is all there is; raise dram.capacity_mib or split the model" in str(error.value)
