"""Elements of more bits than a unit takes at once: its passes over them, digit by digit."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def digit_count(bits: int, width: int) -> int:
    """Digits of `width` bits that elements of `bits` bits take."""
    return -(-bits // width)


def split_digits(elements: npt.NDArray[Any], count: int, width: int) -> npt.NDArray[np.int16]:
    """int16 [..., count]: of each element its digits from the lowest on.

    All but the highest are unsigned, but given as two's complement numbers of `width` bits, as records hold
    them.
    """
    digits = np.stack([elements >> (width * place) for place in range(count)], axis=-1)
    wrapped = ((digits & ((1 << width) - 1)) ^ (1 << (width - 1))) - (1 << (width - 1))
    wrapped[..., -1] = digits[..., -1]
    return wrapped.astype(np.int16)
