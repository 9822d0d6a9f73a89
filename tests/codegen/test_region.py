"""Relax regions become programs that compute what the vsq.* operators mean."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from tvm import relax

from tvm_vsq.codegen import lower_region, region_workloads
from tvm_vsq.errors import ProgramError
from tvm_vsq.ops.conv2d.relax import conv2d
from tvm_vsq.ops.dense.relax import dense
from tvm_vsq.schedule import Database, Record, default_knobs, fingerprint
from tvm_vsq.transform.partition import CODEGEN, partition

SHAPE = (2, 5, 4, 2)
BORDER = {"strides": [1, 1], "padding": [1, 1, 1, 1], "dilation": [1, 1]}


def residual_module(hw, **changes):
    """conv a -> conv b with a as residual -> wide dense c; returns (c, b). `changes` are attributes of b."""
    rng = np.random.default_rng(4)

    def constants(shape, channels):
        weights = rng.integers(-7, 8, (channels, *shape, hw.vector_size + 1)).astype(np.int16)
        weights[..., -1] = rng.integers(1, 16, weights.shape[:-1])
        columns = [(1, 2**16), (14, 20), (-99, 99), (500, 2**31)]
        params = np.stack([rng.integers(*bounds, channels) for bounds in columns], axis=1)
        return relax.const(weights), relax.const(params.astype(np.int32))

    formats = {
        "product_shift": hw.product_shift,
        "product_bits": hw.product_bits,
        "out_bits": hw.activation_bits,
        "out_scale_bits": hw.activation_scale_bits or 0,
        "guard_bits": hw.guard_bits,
    }
    unsigned = {**formats, "act_signed": 0, "res_signed": 0, "res_mult": 40000, "res_shift": 15, **changes}
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((*SHAPE, hw.vector_size + 1), "int16"))
    with builder.function("main", [x]):
        with builder.dataflow():
            kernel = constants((3, 3, 2), 12)
            a = builder.emit(conv2d(x, *kernel, layer="a", relu=1, out_signed=0, **BORDER, **formats))
            kernel = constants((3, 3, 2), 12)
            b = builder.emit(conv2d(a, *kernel, a, layer="b", **BORDER, **unsigned))
            c = builder.emit(dense(b, *constants((2,), 9), layer="c", wide=1, **formats))
            out = builder.emit_output(relax.Tuple([c, b]))
        builder.emit_func_output(out)
    return builder.get()


def region_of(module):
    functions = [f for _, f in partition(module).functions_items()]
    (region,) = (f for f in functions if f.attrs and f.attrs.get("Codegen") == CODEGEN)
    return region


def random_input(hw):
    rng = np.random.default_rng(9)
    x = rng.integers(-7, 8, (*SHAPE, hw.vector_size + 1)).astype(np.int16)
    x[..., -1] = rng.integers(1, 16, SHAPE)
    return x


@pytest.mark.parametrize("arrays", [{}, {"output_lanes": 32}, {"output_lanes": 4, "scale_product_bits": 6}])
def test_a_region_computes_what_its_operators_compute_on_the_cpu(cases, machine, arrays):
    """A residual read twice, an inner tensor, a result that is also read on chip, and a wide result."""
    hw = cases.hardware(scratchpads={"acc_kib": 8, "inp_kib": 2}, **arrays)
    module = residual_module(hw)
    x = random_input(hw)
    built = tvm.compile(relax.transform.LegalizeOps()(module), target="llvm")
    expected = [t.numpy() for t in relax.VirtualMachine(built, tvm.cpu())["main"](tvm.runtime.tensor(x))]

    program = lower_region(region_of(module), hw, Database())
    device = machine.Machine(program, hw)
    device.write_input(0, x)
    machine.run_interleaved(device, 1)
    order = {1: 0, 0: 1}  # the region may return its results in another order than the module
    for index, (kind, *_) in enumerate(program.outputs):
        wanted = expected[order[kind]]
        np.testing.assert_array_equal(device.read_output(index, wanted.shape), wanted)
    assert [layer.name for layer in program.layers] == ["a", "b", "c"]
    assert [layer.op for layer in program.layers] == ["conv2d", "conv2d", "dense"]


def test_tuned_schedules_are_used_for_exactly_their_workload(cases):
    hw = cases.hardware()
    region = region_of(residual_module(hw))
    workloads = dict(region_workloads(region, hw))
    assert list(workloads) == ["a", "b", "c"]
    default = default_knobs(workloads["b"], hw, "b")
    tuned = default.to_dict() | {"order": "hw_outer", "double_buffer": False, "tile_h": 1}
    record = Record(
        workload=workloads["b"].key,
        hardware=fingerprint(hw),
        knobs=tuned,
        cycles=1,
        default_cycles=1,
        trials=1,
    )
    program = lower_region(region, hw, Database(records=(record,)))
    assert [layer.tuned for layer in program.layers] == [False, True, False]
    assert program.layers[1].knobs == tuned


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"out_bits": 6}, "layer 'b': out_bits=6, but accelerator 'small' has 4"),
        ({"guard_bits": 1}, "layer 'b': guard_bits=1, but accelerator 'small' has 2"),
        ({"act_signed": 1}, "layer 'b' reads result 0 of 'a' as signed.*stored with unsigned"),
        ({"res_signed": 1}, "layer 'b' reads result 0 of 'a' as signed.*correct act_signed or res_signed"),
    ],
)
def test_a_region_for_other_hardware_is_refused(cases, changes, message):
    hw = cases.hardware()
    with pytest.raises(ProgramError, match=message):
        lower_region(region_of(residual_module(hw, **changes)), hw, Database())
