"""One random layer of any shape, format and schedule: simulator, NumPy and TensorIR compute the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tvm
from tests.accelerators import random_formats
from tvm import relax

from tvm_vsq import numerics
from tvm_vsq.codegen.constants import param_records
from tvm_vsq.ops.conv2d.reference import conv2d_accumulate
from tvm_vsq.ops.conv2d.relax import conv2d
from tvm_vsq.runtime import native
from tvm_vsq.schedule import candidates

# Scratchpad entries that the largest kernel and a residual need; of weights, per channel group.
ENTRIES = {"inp": 420, "wgt": 60, "acc": 500, "par": 40, "out": 200, "uop": 200}
PRIMES = (1, 2, 3, 5, 7)


def random_hardware(cases, rng: np.random.Generator):
    depth = int(rng.integers(1, 5))
    return cases.hardware(**random_formats(rng, ENTRIES), timing={"token_queue_depth": depth})


def random_layer(cases, seed: int):
    """A network of one layer with random knobs, and parameters that spread its results over the formats."""
    rng = np.random.default_rng(seed)
    hw = random_hardware(cases, rng)
    network = cases.Network(hw, rng)
    kernel = tuple(int(k) for k in rng.integers(1, 8, 2))
    dilation = tuple(int(d) for d in rng.integers(1, 3, 2))
    padding = rng.integers(0, 5, 4)
    if seed % 4 == 0:
        padding[seed // 4 % 4] = rng.integers(16, 24)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    image = [
        int(max(rng.integers(1, 8), r - padding[axis] - padding[axis + 2])) for axis, r in enumerate(reach)
    ]
    vectors = int(rng.choice(PRIMES[:3]))
    network.input("x", (int(rng.integers(1, 3)), *image, vectors * hw.vector_size), bool(rng.integers(2)))
    groups, wide = int(rng.choice(PRIMES[:3])), bool(rng.integers(4) == 0)
    channels = max(1, groups * hw.group_channels - int(rng.integers(hw.group_channels)))
    geometry = {
        "strides": tuple(int(s) for s in rng.integers(1, 4, 2)),
        "padding": tuple(int(p) for p in padding),
        "dilation": dilation,
    }
    options = {"relu": bool(rng.integers(2)), "signed": wide or bool(rng.integers(2)), "wide": wide}
    residual = None
    if rng.integers(2):
        sizes = [
            (size + padding[axis] + padding[axis + 2] - r) // geometry["strides"][axis] + 1
            for axis, (size, r) in enumerate(zip(image, reach, strict=True))
        ]
        batch = network.values["x"].shape[0]
        residual = network.input("r", (batch, *map(int, sizes), channels), bool(rng.integers(2)))
    result = network.conv("x", channels, kernel, residual=residual, output=True, **options, **geometry)
    spread(network, rng, result, residual)
    return network


def spread(network, rng, result, residual) -> None:
    """Random knobs, and shifts by which the results neither vanish nor all saturate."""
    layer, hw = network.layers[0], network.hw
    work, post = layer.workload, layer.post
    legal = candidates(work, hw)
    x = network.values["x"]
    weights, params = network.data[layer.name]
    acc = conv2d_accumulate(
        x, weights, work.strides, work.padding, work.dilation, hw.product_shift, hw.product_bits
    )
    out = network.format(network.tensors[result].signed)
    reach = out.qmax * out.smax << hw.guard_bits
    params = params.copy()
    wanted = [(int(np.abs(acc).max()) * int(m) // (2 * reach)).bit_length() for m in params[:, 0]]
    params[:, 1] = np.clip(np.array(wanted) + rng.integers(-1, 3, len(params)), 0, 62)
    network.data[layer.name] = weights, params
    constants = {**layer.constants, "par": param_records(params, hw)}
    network.layers[0] = replace(layer, constants=constants, knobs=legal[int(rng.integers(len(legal)))])
    added = network.values[residual] if residual else None
    y = numerics.post_process(acc, params, post.relu, added, post.res_mult, post.res_shift)
    network.values[result] = y if work.wide else numerics.requantize(y, out, hw.guard_bits)


def simulate(network, program) -> np.ndarray:
    module = native.create_module(network.hw.sim_params(), [program.to_native()], "{}")
    result = tvm.runtime.tensor(np.zeros_like(network.values[network.outputs[0]]))
    module[program.name](*(tvm.runtime.tensor(network.values[name]) for name in network.inputs), result)
    return result.numpy()


def run_tensorir(network) -> np.ndarray:
    """The layer as vsq.conv2d, legalized and run on the CPU."""
    layer, hw = network.layers[0], network.hw
    work, post = layer.workload, layer.post
    arrays = [network.values["x"], *network.data[layer.name]]
    arrays += [network.values[layer.inputs["res"]]] if "res" in layer.inputs else []
    builder = relax.BlockBuilder()
    parameters = [
        relax.Var(f"a{i}", relax.TensorType(list(array.shape), str(array.dtype)))
        for i, array in enumerate(arrays)
    ]
    with builder.function("main", parameters):
        with builder.dataflow():
            call = conv2d(
                *parameters,
                strides=work.strides,
                padding=work.padding,
                dilation=work.dilation,
                layer=layer.name,
                product_shift=hw.product_shift,
                product_bits=hw.product_bits,
                relu=int(post.relu),
                res_mult=post.res_mult,
                res_shift=post.res_shift,
                wide=int(work.wide),
                out_bits=hw.activation_bits,
                out_scale_bits=hw.activation_scale_bits or 0,
                out_signed=int(not post.out_unsigned),
                guard_bits=hw.guard_bits,
                act_signed=int(not post.act_unsigned),
                res_signed=int(not post.res_unsigned),
            )
            result = builder.emit_output(builder.emit(call))
        builder.emit_func_output(result)
    machine = relax.VirtualMachine(relax.build(builder.get(), "llvm"), tvm.cpu())
    return machine["main"](*(tvm.runtime.tensor(np.array(array, order="C")) for array in arrays)).numpy()


@pytest.mark.parametrize("seed", range(80))
def test_the_simulator_equals_numpy(cases, seed):
    network = random_layer(cases, seed)
    expected = network.values[network.outputs[0]]
    assert np.array_equal(simulate(network, network.program()), expected), network.layers[0].workload


@pytest.mark.parametrize("seed", range(0, 80, 5))
def test_tensorir_equals_numpy_for_the_same_layers(cases, seed):
    network = random_layer(cases, seed)
    assert np.array_equal(run_tensorir(network), network.values[network.outputs[0]])


def test_the_results_are_worth_comparing(cases):
    """Most layers yield many different elements, so that equality means something."""
    rich = 0
    for seed in range(20):
        network = random_layer(cases, seed)
        rich += len(np.unique(network.values[network.outputs[0]])) > 4
    assert rich >= 15
