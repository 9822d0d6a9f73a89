"""The widths that number formats can have, and as types of pydantic fields."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

VectorSize = Literal[8, 16, 32, 64]
VECTOR_SIZES: tuple[int, ...] = get_args(VectorSize)
ELEMENT_BITS = (2, 8)
"""Least and largest width of an element."""
SCALE_BITS = (1, 10)
"""Least and largest width of a vector scale, where there is one."""
MAX_DIGITS = 4
"""Most digits of an element that is wider than an array: the widest element, in the narrowest digits."""

ElementBits = Annotated[int, Field(ge=ELEMENT_BITS[0], le=ELEMENT_BITS[1])]
ScaleBits = Annotated[int, Field(ge=SCALE_BITS[0], le=SCALE_BITS[1])]
