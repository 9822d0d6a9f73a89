"""What programs compute: equal to the NumPy reference, bit for bit, in every number format."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.accelerators import random_formats
from tests.runtime.conftest import Conv, hardware
from tests.vectors import tensor_of, vectors_of

from tvm_vsq.hardware import HardwareConfig

INT32_MAX = 2**31 - 1


def random_params(rng: np.random.Generator, channels: int, relu: bool) -> npt.NDArray[np.int32]:
    """Factors of very different sizes, biases of both signs, some upper clips."""
    mult = rng.integers(0, 2**16, channels)
    shift = rng.integers(0, 40, channels)
    bias = rng.integers(-(2**12), 2**12, channels)
    clip = np.where(rng.random(channels) < 0.3, rng.integers(0, 2**10, channels), INT32_MAX)
    return np.stack([mult, shift, bias, clip], axis=1).astype(np.int32)


ENTRIES = {"uop": 1024, "inp": 2048, "wgt": 170, "acc": 4096, "par": 64, "out": 2048}


def formats() -> st.SearchStrategy[HardwareConfig]:
    """Accelerators of any number formats."""
    seeds = st.integers(0, 2**32 - 1)
    return seeds.map(lambda seed: hardware(**random_formats(np.random.default_rng(seed), ENTRIES)))


@settings(max_examples=40, deadline=None)
@given(formats(), st.integers(0, 2**32 - 1), st.data())
def test_a_convolution_equals_the_numpy_reference(hw: HardwareConfig, seed: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(seed)
    signed, out_signed, res_signed, relu, wide, with_residual = (data.draw(st.booleans()) for _ in range(6))
    kernel, stride = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 2))
    channels, cv = data.draw(st.integers(1, 70)), data.draw(st.integers(1, 2))
    padding = tuple(data.draw(st.integers(0, 2)) for _ in range(4))
    activation = hw.formats.activation
    x = vectors_of(rng, activation.with_sign(signed), 4, 5, cv)
    w = vectors_of(rng, hw.formats.weight, channels, kernel, kernel, cv)
    conv = Conv(hw, x, w, random_params(rng, channels, relu), stride, padding, signed, out_signed, relu, wide)  # type: ignore[arg-type]
    conv = replace(conv, overwrites=data.draw(st.booleans()))
    residual: dict[str, Any] = {}
    if with_residual:
        residual = {
            "residual": tensor_of(rng, activation.with_sign(res_signed), *conv.out_size, channels=channels),
            "res_signed": res_signed,
            "res_mult": int(rng.integers(2**16)),
            "res_shift": int(rng.integers(30)),
        }
    conv = replace(conv, **residual)
    np.testing.assert_array_equal(conv.run(), conv.expected())


def test_formats_without_scales_return_scale_one() -> None:
    hw = hardware(weight_scale_bits=None, activation_scale_bits=None)
    rng = np.random.default_rng(1)
    x, w = vectors_of(rng, hw.formats.activation, 3, 3, 1), vectors_of(rng, hw.formats.weight, 8, 1, 1, 1)
    conv = Conv(hw, x, w, random_params(rng, 8, False))
    result = conv.run()
    assert (result[..., -1] == 1).all()
    np.testing.assert_array_equal(result, conv.expected())


@pytest.mark.parametrize("lanes", [4, 8, 16, 32, 64])
def test_accumulators_hold_their_extreme_values_and_not_one_more(small_conv: Conv, lanes: int) -> None:
    # 9 taps * 8 lanes * 7 * 7 * (15 * 15) = 793800, over 20 bits (524287) and inside 21 (1048575).
    hw = hardware(accumulator_bits=21, output_lanes=lanes)
    x = np.full((3, 3, 1, 9), 7, np.int16)
    x[..., -1] = 15
    w = np.full((lanes, 3, 3, 1, 9), -7, np.int16)
    w[..., -1] = 15
    params = np.tile(np.array([1, 0, 0, INT32_MAX], np.int32), (lanes, 1))
    conv = Conv(hw, x, w, params, wide=True)
    assert (conv.run() == -793800).all()
    too_narrow = Conv(hardware(accumulator_bits=20, output_lanes=lanes), x, w, params, wide=True)
    with pytest.raises(
        ValueError, match=r"\(GEMM\): accumulator overflow: micro-op 5 .* acc entry 0 outside 20 bits"
    ):
        too_narrow.run()
