"""Random vector tensors."""

from __future__ import annotations

import numpy as np

from tvm_vsq.formats import VectorFormat


def vectors_of(
    rng: np.random.Generator, fmt: VectorFormat, *leading: int, at_limit: float = 1 / 8
) -> np.ndarray:
    """int16[*leading, V+1]: some vectors all zero, and, `at_limit` of them, with the largest of all."""
    elements = rng.integers(fmt.lo, fmt.qmax + 1, (*leading, fmt.vector_size))
    scales = rng.integers(1, fmt.smax + 1, (*leading, 1))
    kind = rng.random((*leading, 1))
    elements = np.where(kind < at_limit, fmt.qmax, np.where(kind > 7 / 8, 0, elements))
    scales = np.where(kind < at_limit, fmt.smax, scales)
    return np.concatenate([elements, scales], axis=-1).astype(np.int16)


def tensor_of(rng: np.random.Generator, fmt: VectorFormat, *leading: int, channels: int) -> np.ndarray:
    """int16[*leading, CV, V+1]; lanes beyond the channels hold 0, as in every tensor."""
    vectors = vectors_of(rng, fmt, *leading, fmt.vectors(channels))
    elements = vectors[..., :-1].reshape(*leading, -1)
    elements[..., channels:] = 0
    vectors[..., :-1] = elements.reshape(vectors[..., :-1].shape)
    return vectors
