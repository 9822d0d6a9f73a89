"""Integers that came with a model are taken as they are, or not at all and with the reason."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tvm_vsq.errors import VsqWarning
from tvm_vsq.formats import VectorFormat
from tvm_vsq.frontend.given import GivenWeights
from tvm_vsq.numerics import dequantize, quantize_weights
from tvm_vsq.quantize.weights.given import take_given

W4S4 = VectorFormat(4, 4, 16)
W8 = VectorFormat(8, None, 16)


def of_vectors(vectors: np.ndarray, gamma: np.ndarray, channels: int) -> GivenWeights:
    """A model's integers, as if they had been quantized to vectors of 16."""
    q = vectors[..., :-1].reshape(*vectors.shape[:-2], -1)[..., :channels]
    return GivenWeights(q, vectors[..., -1].astype(np.int32), gamma, vectors.shape[-1] - 1)


def two_level(seed=0, rows=(6, 3, 3, 40), fmt=W4S4):
    w = np.random.default_rng(seed).standard_normal(rows).astype(np.float32)
    vectors, gamma = quantize_weights(w, fmt)
    return of_vectors(vectors, gamma, rows[-1]), vectors, gamma


def taken(integers, rows=None, fmt=W4S4):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return take_given(
            integers, integers.restored().astype(np.float32) if rows is None else rows, fmt, "l"
        )


def refused(integers, message, rows=None, fmt=W4S4):
    rows = integers.restored().astype(np.float32) if rows is None else rows
    with pytest.warns(VsqWarning, match=f"layer 'fc': the model's integer weights are not used: {message}"):
        assert take_given(integers, rows, fmt, "fc") is None


@settings(max_examples=30, deadline=None)
@given(
    bits=st.integers(2, 8),
    scale_bits=st.sampled_from([None, 1, 4, 10]),
    channels=st.integers(1, 40),
    kernel=st.sampled_from([(), (1, 1), (3, 2)]),
    seed=st.integers(0, 100),
)
def test_two_level_integers_are_taken_bit_for_bit(bits, scale_bits, channels, kernel, seed):
    fmt = VectorFormat(bits, scale_bits, 16)
    integers, vectors, gamma = two_level(seed, (3, *kernel, channels), fmt)
    found, found_gamma = taken(integers, fmt=fmt)
    np.testing.assert_array_equal(found, vectors)
    np.testing.assert_array_equal(found_gamma, gamma)


def test_a_block_of_several_vectors_gives_them_all_its_scale():
    integers = GivenWeights(
        np.ones((2, 40), np.int16), np.array([[3, 5], [2, 7]], np.int32), np.ones(2, "f"), 32
    )
    vectors, _ = taken(integers)
    np.testing.assert_array_equal(vectors[..., -1], [[3, 3, 5], [2, 2, 7]])


def test_one_scale_a_channel_needs_no_blocks_of_whole_vectors():
    integers = GivenWeights(
        np.full((2, 40), 5, np.int16), np.ones((2, 1), np.int32), np.ones(2, np.float32), 40
    )
    vectors, _ = taken(integers)
    np.testing.assert_array_equal(vectors[..., -1], np.ones((2, 3)))
    assert (vectors[:, 2, 8:16] == 0).all()  # beyond the 40 channels


def test_scales_of_a_channel_lose_their_common_factor_where_they_do_not_fit():
    scales = np.array([[60, 40], [1, 15]], np.int32)
    integers = GivenWeights(np.full((2, 32), 3, np.int16), scales, np.ones(2, np.float32), 16)
    vectors, gamma = taken(integers)
    np.testing.assert_array_equal(vectors[..., -1], [[3, 2], [1, 15]])
    np.testing.assert_array_equal(gamma, [20, 1])


def test_a_folded_batch_norm_goes_into_gamma():
    integers, vectors, gamma = two_level()
    factor = np.array([2, -0.5, 1, 0, 1e-3, 3], np.float32)
    rows = (integers.restored() * factor.reshape(-1, 1, 1, 1)).astype(np.float32)
    found, found_gamma = taken(integers, rows)
    np.testing.assert_allclose(dequantize(found, found_gamma, 40), rows, rtol=1e-5)
    np.testing.assert_array_equal(np.abs(found[[0, 1, 2, 4, 5]]), np.abs(vectors[[0, 1, 2, 4, 5]]))
    assert found_gamma[2] == gamma[2]
    assert (found_gamma > 0).all()


def test_floating_point_scales_are_rounded_and_the_loss_is_said():
    rng = np.random.default_rng(0)
    scales = rng.uniform(0.1, 1, (4, 3)).astype(np.float32)
    integers = GivenWeights(rng.integers(-7, 8, (4, 48)).astype(np.int16), scales, np.ones(4, np.float32), 16)
    rows = integers.restored().astype(np.float32)
    with pytest.warns(VsqWarning, match=r"'fc': floating-point block scales became integers up to 15, .* dB"):
        vectors, gamma = take_given(integers, rows, W4S4, "fc")
    np.testing.assert_array_equal(vectors[..., :-1].reshape(4, 48), integers.elements)
    np.testing.assert_array_equal(
        vectors[..., -1], np.rint(scales / (scales.max(axis=1, keepdims=True) / 15))
    )
    assert np.abs(dequantize(vectors, gamma, 48) - rows).max() <= 7 * 0.5 * gamma.max() * 1.001


def test_elements_that_do_not_fit():
    integers, _, _ = two_level()
    integers.elements[0, 0, 0, 0] = -8
    refused(integers, r"element -8 is outside -7\.\.7, what 4 symmetric bits hold; quantized anew")


def test_scales_that_do_not_fit():
    scales = np.array([[17, 3]], np.int32)
    integers = GivenWeights(np.ones((1, 32), np.int16), scales, np.ones(1, np.float32), 16)
    refused(integers, "scale 17 is above 15, what 4 bits hold")
    refused(integers, "scale 17 is above 1, what a format without vector scales has", fmt=W8)


def test_floating_point_scales_without_vector_scales():
    integers = GivenWeights(np.ones((1, 32), np.int16), np.array([[0.5, 1]], "f"), np.ones(1, "f"), 16)
    refused(integers, "a channel has several scales, the format has no vector scales", fmt=W8)


def test_negative_scales():
    integers = GivenWeights(np.ones((1, 32), np.int16), np.array([[-0.5, 1]], "f"), np.ones(1, "f"), 16)
    refused(integers, "a scale is negative")


def test_blocks_that_are_no_whole_vectors():
    integers = GivenWeights(
        np.ones((1, 32), np.int16), np.array([[1, 2, 3, 4]], np.int32), np.ones(1, "f"), 8
    )
    refused(integers, "blocks of 8 channels do not divide into vectors of 16")


def test_weights_that_were_changed_since():
    integers, _, _ = two_level()
    rows = integers.restored().astype(np.float32)
    rows[..., 0] *= 1.1
    refused(integers, "the weights were changed after they were quantized, by more than a factor", rows)


def test_weights_of_another_shape():
    integers, _, _ = two_level()
    refused(
        integers, r"they are \[6, 3, 3, 40\], the layer's weights \[6, 40\]", np.ones((6, 40), np.float32)
    )
