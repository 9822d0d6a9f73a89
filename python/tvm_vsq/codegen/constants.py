"""Constants of a layer as its operands want them, and as bytes of the program's image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.formats.digits import digit_count, split_digits
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.hardware.memories import NEGATIVE, PARAMETER_BITS
from tvm_vsq.numerics import pack_weights

Records = npt.NDArray[np.integer[Any]]


def weight_records(
    weights: npt.NDArray[np.int16], hardware: HardwareConfig, digits: int = 1, along_taps: bool = False
) -> Records:
    """int16 [K, R, S, CV, V+1] as [groups, blocks, CV, R, S, lanes, V+1]; missing channels are zero.

    Of several digits, these lie along an axis behind S, or, where vectors of one of them lie side by side
    (`along_taps`), before CV.
    """
    blocks = _grouped(weights, hardware).transpose(0, 1, 5, 3, 4, 2, 6)
    if digits == 1:
        return blocks
    elements, scales = blocks[..., :-1], blocks[..., -1:]
    split = np.moveaxis(split_digits(elements, digits, hardware.weight_bits), -1, 5)
    scales = np.broadcast_to(scales[:, :, :, :, :, None], (*split.shape[:-1], 1))
    records = np.concatenate([split, scales], axis=-1)
    return np.moveaxis(records, 5, 2) if along_taps else records


def weight_digits(weights: npt.NDArray[np.int16], hardware: HardwareConfig) -> int:
    """Digits that the elements of int16 [..., V+1] need."""
    largest = int(np.abs(weights[..., :-1]).max(initial=0))
    return digit_count(largest.bit_length() + 1, hardware.weight_bits)


def param_records(params: npt.NDArray[np.int32], hardware: HardwareConfig) -> Records:
    """int32 [K, 4] (mult, shift, bias, clip) as [groups, blocks, lanes, 4]; channels that do not exist yield
    0. The sign of a multiplier is a bit of its shift.
    """
    mult, shift = params[:, 0], params[:, 1]
    signed = np.stack([np.abs(mult), np.where(mult < 0, shift | NEGATIVE, shift), *params[:, 2:].T], axis=1)
    return _grouped(signed, hardware)


def table_records(table: npt.NDArray[np.int32], hardware: HardwareConfig) -> Records:
    """int32 [segments, 2] (value, slope) as parameters [entries, lanes, 4]: as their bias and clip."""
    lanes = hardware.output_lanes
    records = np.zeros((-(-len(table) // lanes) * lanes, len(PARAMETER_BITS)), np.int32)
    names = list(PARAMETER_BITS)
    for place, field in enumerate(("bias", "clip")):
        records[: len(table), names.index(field)] = table[:, place]
    return records.reshape(-1, lanes, len(PARAMETER_BITS))


def wide_records(numbers: npt.NDArray[np.int32], pixels: Sequence[int], hardware: HardwareConfig) -> Records:
    """int32 [..., K] as accumulators [n, rows, columns, blocks, lanes], the first three of which are
    `pixels`.
    """
    lanes, channels = hardware.output_lanes, numbers.shape[-1]
    padded = np.zeros((*numbers.shape[:-1], -(-channels // lanes) * lanes), np.int32)
    padded[..., :channels] = numbers
    return padded.reshape(*pixels, -1, lanes)


def _grouped(array: npt.NDArray[Any], hardware: HardwareConfig) -> npt.NDArray[Any]:
    """[K, ...] as [groups, blocks, lanes, ...], filled up with zeros."""
    channels, *rest = array.shape
    groups = -(-channels // hardware.group_channels)
    padded = np.zeros((groups * hardware.group_channels, *rest), dtype=array.dtype)
    padded[:channels] = array
    return padded.reshape(groups, hardware.group_blocks, hardware.output_lanes, *rest)


def _pack_weights(records: Records, hardware: HardwareConfig) -> bytes:
    return pack_weights(records.astype(np.int16), hardware.formats.weight).tobytes()


def _pack_params(records: Records, hardware: HardwareConfig) -> bytes:
    """Whole bytes of each field, little-endian; two's complement where it is signed."""
    words = np.ascontiguousarray(records, dtype="<i8")[..., None].view(np.uint8)
    fields = [words[..., i, : bits // 8] for i, bits in enumerate(PARAMETER_BITS.values())]
    return np.concatenate(fields, axis=-1).tobytes()


def _pack_wide(records: Records, _hardware: HardwareConfig) -> bytes:
    return np.ascontiguousarray(records, dtype="<i4").tobytes()


_PACK: dict[str, Callable[[Records, HardwareConfig], bytes]] = {
    "wgt": _pack_weights,
    "par": _pack_params,
    "acc": _pack_wide,
}


def image_of(records: Records, scratchpad: str, hardware: HardwareConfig) -> bytes:
    """Records of a scratchpad that is loaded from constants, as they lie in DRAM."""
    return _PACK[scratchpad](records, hardware)
