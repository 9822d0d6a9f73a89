"""The post-processing unit: scale, bias, residual, activation (docs/numerics.md, section 5)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import InputError
from tvm_vsq.numerics.layout import split
from tvm_vsq.numerics.rounding import round_shift

_INT32 = np.iinfo(np.int32)


def post_process(
    acc: npt.NDArray[np.int64],
    params: npt.NDArray[np.int32],
    relu: bool = False,
    residual: npt.NDArray[np.int16] | None = None,
    res_mult: int = 0,
    res_shift: int = 0,
) -> npt.NDArray[np.int32]:
    """Accumulators `acc` int64[..., K] to y int32[..., K], in units of gamma_y.

    `params` int32[K, 4] is (mult, shift, bias, clip) per channel; `residual` int16[..., ceil(K/V), V+1] is
    added after its own fixed-point factor res_mult / 2^res_shift. |acc| < 2^45 and mult < 2^16 keep every
    step in int64.
    Raises InputError if a shape does not agree with `acc`.
    """
    channels = acc.shape[-1]
    if params.shape != (channels, 4):
        raise InputError(
            f"params must be [{channels}, 4] (mult, shift, bias, clip), got {list(params.shape)}"
        )
    mult, shift, bias, clip = params.astype(np.int64).T
    total = round_shift(acc * mult, shift) + bias
    if residual is not None:
        elements, scales = split(residual)
        values = (elements * scales[..., None]).reshape(*residual.shape[:-2], -1)
        if values[..., :channels].shape != acc.shape or values.shape[-1] - channels >= elements.shape[-1]:
            raise InputError(
                f"a residual of shape {list(residual.shape)} does not fit the result {list(acc.shape)}"
            )
        total = total + round_shift(values[..., :channels] * res_mult, res_shift)
    y: npt.NDArray[np.int64] = np.clip(total, _INT32.min, _INT32.max)
    if relu:
        y = np.maximum(y, 0)
    return np.asarray(np.minimum(y, clip), np.int32)
