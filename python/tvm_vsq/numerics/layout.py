"""Channels to vectors and back: [..., C] and [..., CV, V]."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import InputError
from tvm_vsq.formats import VECTOR_SIZES, VectorFormat

T = TypeVar("T", bound=np.generic)


def split_channels(values: npt.NDArray[T], fmt: VectorFormat) -> npt.NDArray[T]:
    """[..., C] to [..., CV, V]; channels beyond C are 0."""
    if values.ndim == 0 or values.shape[-1] == 0:
        raise InputError(f"an array of shape {values.shape} has no channels to split into vectors")
    channels = values.shape[-1]
    vectors = fmt.vectors(channels)
    padding = [(0, 0)] * (values.ndim - 1) + [(0, vectors * fmt.vector_size - channels)]
    return np.pad(values, padding).reshape(*values.shape[:-1], vectors, fmt.vector_size)


def join(elements: npt.ArrayLike, scales: npt.ArrayLike) -> npt.NDArray[np.int16]:
    """Elements [..., CV, V] and scales [..., CV] to a vector tensor int16[..., CV, V+1]."""
    pair = [np.asarray(elements), np.asarray(scales)[..., None]]
    return np.concatenate(pair, axis=-1).astype(np.int16)


def split(vectors: npt.NDArray[np.int16]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """A vector tensor [..., CV, V+1] to int64 elements [..., CV, V] and scales [..., CV].

    Raises InputError if `vectors` is not an int16 array of that form.
    """
    check_vectors("vectors", vectors)
    wide = vectors.astype(np.int64)
    return wide[..., :-1], wide[..., -1]


def check_vectors(name: str, vectors: npt.NDArray[np.int16]) -> None:
    """Raise InputError unless `vectors` is int16[..., V+1] with V a vector size."""
    if vectors.dtype != np.int16 or vectors.ndim < 1 or vectors.shape[-1] - 1 not in VECTOR_SIZES:
        raise InputError(
            f"{name}: expected a vector tensor int16[..., V+1] with V one of {VECTOR_SIZES}, "
            f"got {vectors.dtype}{list(vectors.shape)}"
        )
