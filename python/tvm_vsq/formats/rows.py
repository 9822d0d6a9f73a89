"""What the arithmetic on whole rows is made of (docs/numerics.md, section 7)."""

from __future__ import annotations

from dataclasses import dataclass

MANTISSA_BITS = 16
"""Of a normalized sum below its leading one: as many as a table takes for its argument."""

FACTOR_BITS = 16
"""Of the mantissa of a factor, which is unsigned; its shift has 6 bits and lies above it."""

RESULT_BITS = 16
"""F: normalized rows and probabilities count steps of 2^-F."""

SQUARED_BITS = 18
"""Of a number that is squared, signed."""

LEAST_MAXIMUM = -(1 << 28)
"""The maximum of a row to which a mask was added is taken as no less: a row that is masked as a whole then
has equal probabilities."""

MOST_LANES = 1 << 14
"""Of a row, so that sums of 32-bit numbers, and of squares, fit ROW_BITS."""

ROW_BITS = 2 * (SQUARED_BITS - 1) + (MOST_LANES - 1).bit_length() + 2
"""Of a sum of MOST_LANES squares, each as large as can be, with a sign."""


TURN_BITS = 14
"""Of cosines and sines, of which 1 is 2^14; 2^14 more than one is the mantissa of a factor, with this
shift.
"""


@dataclass(frozen=True)
class Probabilities:
    """How a row becomes probabilities, all in integers.

    argument_shift: bits that numbers lose before their exponential is looked up. exponent: the shift of a
    factor whose sum is in [2^16, 2^17). masked: whether a mask was added to the row.
    """

    argument_shift: int
    exponent: int
    masked: bool

    @property
    def bits(self) -> int:
        """Of accumulators that hold what the maximum of a row is compared with, less the table's reach."""
        reach = ((1 << 15) - 1) << self.argument_shift
        return (reach - (LEAST_MAXIMUM if self.masked else 0)).bit_length() + 1


@dataclass(frozen=True)
class Normalization:
    """How a row is normalized, all in integers.

    centered: whether its mean, the sum times mean_mult / 2^mean_shift, is subtracted first. square_shift:
    bits that numbers lose before they are squared. epsilon: what is added to the sum of squares. exponent:
    the shift of a factor whose sum of squares is in [2^16, 2^17).
    """

    centered: bool
    square_shift: int
    epsilon: int
    exponent: int
    mean_mult: int = 0
    mean_shift: int = 0


@dataclass(frozen=True)
class Rotation:
    """Pairs of numbers of a row are turned, by factors that come with it."""


@dataclass(frozen=True)
class Sum:
    """Another tensor is added to rows, and nothing else done to them."""


RowStep = Normalization | Probabilities | Rotation | Sum
