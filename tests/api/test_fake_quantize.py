"""The torch module of a quantized network and the compiled network have the same bits."""

from __future__ import annotations

import numpy as np
import pytest

import tvm_vsq


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
