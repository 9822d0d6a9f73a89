"""In what records a tensor of vectors lies in DRAM and scratchpads."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_vsq.errors import ProgramError
from tvm_vsq.formats import VectorFormat
from tvm_vsq.formats.digits import digit_count
from tvm_vsq.hardware import HardwareConfig


@dataclass(frozen=True)
class Form:
    """format: of the vectors; None where it is what records have by themselves. second: whether records have
    the form of second operands, where that is another one than that of activations. digits: records of a
    vector.
    """

    format: VectorFormat | None = None
    second: bool = False
    digits: int = 1

    @staticmethod
    def of(fmt: VectorFormat, is_second: bool | None, hardware: HardwareConfig, what: str) -> Form:
        """Of vectors in `fmt`, read in place of weights or not, or, if nobody knows (None), where only one of
        these is so wide. ProgramError, about `what`, if the hardware has none.
        """
        formats = hardware.formats
        plain = formats.activation.with_sign(fmt.signed)
        other = formats.second_record
        if is_second is None:
            is_second = fmt == other != plain
        record = other if is_second else plain
        digits = digit_count(fmt.bits, record.bits)
        is_own = (fmt.bits, fmt.scale_width) == (record.bits, record.scale_width)
        fits = digits <= hardware.precision_passes > 1 and fmt.scale_width <= record.scale_width
        fits = fits or (fmt.bits == record.bits and not fmt.scale_width)  # every PPU saturates
        # gathered digits are as wide as weights
        if is_second and digits > 1 and record.bits < hardware.weight_bits:
            fits = False
        if not (is_own or fits):
            raise ProgramError(
                f"{what} has elements of {fmt.bits} bits and scales of {fmt.scale_width}, but accelerator "
                f"'{hardware.label}' has records of {record.bits} and {record.scale_width} bits and "
                f"precision_passes={hardware.precision_passes}; quantize the model for this accelerator"
            )
        return Form(None if is_own else fmt, is_second and record != plain, digits)


OWN = Form()
"""What activations of the array's own format have."""
