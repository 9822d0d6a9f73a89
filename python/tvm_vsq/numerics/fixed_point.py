"""A positive real factor as an integer multiplier and a right shift (docs/numerics.md, section 5)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import QuantizationError

MAX_SHIFT = 62


def fixed_point(
    ratio: npt.ArrayLike, multiplier_bits: int, layer: str = ""
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """(mult, shift) like `ratio`: mult / 2^shift ~ ratio, mult unsigned of `multiplier_bits` bits.

    The shift is the largest up to 62 with rint(ratio * 2^shift) < 2^multiplier_bits, so mult keeps all its
    bits unless ratio is below 2^(multiplier_bits - 63). Raises QuantizationError naming `layer` if a ratio is
    negative, not finite, or too large for shift 0.
    """
    r = np.asarray(ratio, np.float64)
    limit = 2**multiplier_bits - 1
    bad = ~(np.isfinite(r) & (r >= 0) & (np.rint(r) <= limit))
    if bad.any():
        raise QuantizationError(
            f"layer '{layer}': the output factor {float(r[bad].flat[0])!r} (channel "
            f"{int(np.flatnonzero(bad)[0])}) is not in 0..{limit}, which a {multiplier_bits}-bit multiplier "
            "can hold; raise the output's calibrated range, or run the layer in fp32"
        )
    _, exponent = np.frexp(r)  # r = m * 2^exponent, 0.5 <= m < 1: r * 2^(bits - exponent) < 2^bits
    shift = np.minimum(multiplier_bits - exponent, MAX_SHIFT)
    shift -= np.rint(np.ldexp(r, shift)) > limit  # rounding reached 2^bits
    shift = np.where(r == 0, MAX_SHIFT, shift)
    return np.rint(np.ldexp(r, shift)).astype(np.int32), shift.astype(np.int32)
