"""Regions with several results, residuals from outside, inputs with several readers; what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from tvm import relax

from tvm_vsq import numerics
from tvm_vsq.codegen import lower_region, region_workloads
from tvm_vsq.errors import ProgramError
from tvm_vsq.graph import constant
from tvm_vsq.ops.conv2d.reference import conv2d_accumulate
from tvm_vsq.ops.conv2d.relax import conv2d
from tvm_vsq.runtime import native
from tvm_vsq.schedule import Database
from tvm_vsq.transform import partition

SHAPE = (1, 4, 5, 1)
"""n, h, w, vectors of every tensor; all layers keep it."""


class Graph:
    """A Relax function of convolutions over 8 channels, and the values that NumPy computes for it."""

    def __init__(self, hw, inputs):
        self.hw, self.rng, self.count = hw, np.random.default_rng(0), 0
        self.format = hw.formats.activation
        self.builder = relax.BlockBuilder()
        self.parameters, self.values = [], {}
        for i in range(inputs):
            array = self.vectors(self.format, *SHAPE)
            self.parameters.append(relax.Var(f"x{i}", relax.TensorType(list(array.shape), "int16")))
            self.values[self.parameters[i]] = array

    def vectors(self, fmt, *leading):
        elements = self.rng.integers(fmt.lo, fmt.qmax + 1, (*leading, fmt.vector_size))
        scales = self.rng.integers(1, fmt.smax + 1, (*leading, 1))
        return np.concatenate([elements, scales], axis=-1).astype(np.int16)

    def conv(self, x, size=1, residual=None, wide=False, **changes):
        hw, rng, around = self.hw, self.rng, [size // 2] * 4
        fmt = hw.formats.weight
        w = self.vectors(fmt, 8, size, size, 1)
        columns = [rng.integers(1, 2**16, 8), [18] * 8, rng.integers(-99, 99, 8), [2**31 - 1] * 8]
        params = np.stack(columns, axis=1).astype(np.int32)
        factor = (4000, 10) if residual is not None else (0, 0)
        attributes = {
            "product_shift": hw.product_shift,
            "product_bits": hw.product_bits,
            "res_mult": factor[0],
            "res_shift": factor[1],
            "wide": int(wide),
            "out_bits": hw.activation_bits,
            "out_scale_bits": hw.activation_scale_bits,
            "guard_bits": hw.guard_bits,
        }
        tensors = [x, constant(w), constant(params)] + ([] if residual is None else [residual])
        call = conv2d(*tensors, padding=around, layer=f"layer{self.count}", **attributes | changes)
        self.count += 1
        var = self.builder.emit(call)
        rounding = (hw.product_shift, hw.product_bits)
        acc = conv2d_accumulate(self.values[x], w, (1, 1), around, (1, 1), *rounding)
        added = None if residual is None else self.values[residual]
        y = numerics.post_process(acc, params, False, added, *factor)
        self.values[var] = y if wide else numerics.requantize(y, self.format, hw.guard_bits)
        return var

    def region(self, build):
        """The only region of the function that returns `build(*parameters)`, and its results' values."""
        with self.builder.function("main", self.parameters):
            with self.builder.dataflow():
                results = build(*self.parameters)
                out = self.builder.emit_output(results[0] if len(results) == 1 else relax.Tuple(results))
            self.builder.emit_func_output(out)
        functions = [function for _, function in partition(self.builder.get()).functions_items()]
        (region,) = [f for f in functions if f.attrs and "Codegen" in f.attrs]
        return region, [self.values[result] for result in results]


def check(graph, build):
    """The region's program computes, in the simulator, what NumPy does. Returns the region."""
    region, expected = graph.region(build)
    program = lower_region(region, graph.hw, Database())
    module = native.create_module(graph.hw.sim_params(), [program.to_native()], "{}")
    # The order of a region's parameters is the partitioner's; they keep their names.
    by_name = {parameter.name: graph.values[parameter] for parameter in graph.parameters}
    arguments = [by_name[parameter.name] for parameter in region.params]
    results = [tvm.runtime.tensor(np.full_like(value, 77)) for value in expected]
    module[program.name](*map(tvm.runtime.tensor, arguments), *results)
    for result, value in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result.numpy(), value)
    return region


def test_results_in_the_middle_and_at_the_end(cases):
    graph = Graph(cases.hardware(), 1)

    def build(x):
        a = graph.conv(x, 3)
        b = graph.conv(a, 1)
        return [a, b, graph.conv(b, 3, wide=True)]

    check(graph, build)


def test_a_residual_from_outside_the_region(cases):
    graph = Graph(cases.hardware(), 2)
    region = check(graph, lambda x, r: [graph.conv(graph.conv(x, 3), 1, residual=r)])
    assert len(region.params) == 2


def test_an_input_with_three_readers_once_as_its_own_residual(cases):
    graph = Graph(cases.hardware(), 1)

    def build(x):
        a = graph.conv(x, 3, residual=x)
        b = graph.conv(x, 1, residual=a)
        return [graph.conv(b, 3, residual=x)]

    assert len(check(graph, build).params) == 1


def test_a_result_that_is_also_read_as_input_and_residual(cases):
    """Results are stored without padding: with 8 channels and 16 lanes, other tensors are not."""
    graph = Graph(cases.hardware(output_lanes=16), 1)

    def build(x):
        a = graph.conv(x, 3)
        return [a, graph.conv(a, 1, residual=a), graph.conv(a, 3, wide=True)]

    check(graph, build)


def test_workloads_are_listed_by_layer_in_program_order(cases):
    graph = Graph(cases.hardware(), 1)
    region, _ = graph.region(lambda x: [graph.conv(graph.conv(x, 3), 1)])
    found = region_workloads(region, graph.hw)
    assert [name for name, _ in found] == ["layer0", "layer1"]
    assert [(work.oh, work.ow, work.r) for _, work in found] == [(4, 5, 3), (4, 5, 1)]


def test_readers_that_disagree_about_the_sign_are_refused(cases):
    graph = Graph(cases.hardware(), 1)
    region, _ = graph.region(lambda x: [graph.conv(graph.conv(x), 1, residual=x, res_signed=0)])
    with pytest.raises(ProgramError, match="layer 'layer1' reads input 0 as unsigned"):
        lower_region(region, graph.hw, Database())


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
