"""When two tensors are the same, and how to say that they are not."""

from __future__ import annotations

import numpy as np

from tvm_vsq.frontend.source import Array

TOLERANCE = 1e-3
"""The largest relative error in the 2-norm, |got - expected| / |expected| over a tensor, that is none;
sums in another order, in fp32, stay orders of magnitude below it."""


def difference(expected: Array, got: Array) -> float:
    """The relative error of `got` in the 2-norm; infinite if shape, dtype or the places of NaN differ, or for
    integers and booleans that are not equal."""
    if expected.shape != got.shape or expected.dtype != got.dtype:
        return np.inf
    if expected.dtype.kind != "f":
        return 0.0 if np.array_equal(expected, got) else np.inf
    finite = np.isfinite(expected)
    if (
        not np.array_equal(expected[~finite], got[~finite], equal_nan=True)
        or not np.isfinite(got[finite]).all()
    ):
        return np.inf
    want, have = expected[finite].astype(np.float64), got[finite].astype(np.float64)
    error = float(np.linalg.norm(want - have))
    return error / max(float(np.linalg.norm(want)), float(np.finfo(np.float32).tiny)) if error else 0.0


def described(expected: Array, got: Array, here: str) -> str:
    """Both sides of a difference: shapes, dtypes, or the element that is furthest off. here: who is `got`."""
    if expected.shape != got.shape:
        return f"has shape {list(expected.shape)} in the model and {list(got.shape)} {here}"
    if expected.dtype != got.dtype:
        return f"is {expected.dtype} in the model and {got.dtype} {here}"
    a, b = expected.astype(np.float64), got.astype(np.float64)
    off = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    place = np.unravel_index(int(np.argmax(np.where(np.isnan(off), np.inf, off))), a.shape) if a.ndim else ()
    at = f"[{', '.join(str(int(n)) for n in place)}]"
    return f"is {a[place]:.6g} in the model and {b[place]:.6g} {here}, at {at} of {list(a.shape)}"
