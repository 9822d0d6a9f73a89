"""The torch module of a quantized network and the compiled network have the same bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import tvm
from tvm import relax

import tvm_vsq
from tvm_vsq.build import build_executable


@pytest.fixture(scope="module")
def plain(networks):
    """PlainNet, an input and calibration data."""
    return *networks.build(networks.PlainNet), networks.samples(networks.PlainNet)


def test_the_module_gives_what_the_compiled_network_gives(plain):
    model, x, samples = plain
    options = {"example_inputs": (x,), "calibration": samples}
    exe = tvm_vsq.compile(model, "vsq-accel-w4a8", **options)
    module = tvm_vsq.fake_quantize(model, target="vsq-accel-w4a8", **options)
    np.testing.assert_array_equal(module.eval()(samples), exe.run_batch(samples))


def test_a_trained_module_compiles_for_its_target(plain):
    model, x, samples = plain
    module = tvm_vsq.fake_quantize(model, example_inputs=(x,), calibration=samples)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.05)
    for _ in range(3):
        optimizer.zero_grad()
        module.train()(x).square().mean().backward()
        optimizer.step()
    built = tvm.compile(module.to_relax(), target="vsq-accel")
    machine = relax.VirtualMachine(built, tvm.cpu())
    result = machine["main"](tvm.runtime.tensor(x.numpy())).numpy()
    np.testing.assert_array_equal(module.eval()(x).numpy(), result)


def test_formats_that_no_target_has_compile_for_the_modules_own_hardware(plain):
    model, x, samples = plain
    module = tvm_vsq.fake_quantize(model, "3/5/4/6", example_inputs=(x,), calibration=samples)
    exe = build_executable(module.to_relax(), module.hardware, tvm_vsq.Database())
    np.testing.assert_array_equal(module.eval()(x).numpy(), exe(x).numpy())
