"""Vector tensors to DRAM records and back (docs/numerics.md, section 6).

A record is a little-endian bit string: bit i of the string is bit i % 8 of byte i // 8. An activation record
is one vector, V elements and then the scale; a weight record is the vectors of one block of output lanes, one
after the other. Records are padded with zero bits to whole bytes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import InputError, QuantizationError
from tvm_vsq.formats import VectorFormat
from tvm_vsq.numerics.layout import check_vectors

Bytes = npt.NDArray[np.uint8]
Vectors = npt.NDArray[np.int16]


def pack_activations(vectors: Vectors, fmt: VectorFormat) -> Bytes:
    """`vectors` int16[..., V+1] to one record each: uint8[..., ceil(fmt.record_bits / 8)].

    Raises InputError if `vectors` is not a vector tensor, QuantizationError if a value does not fit.
    """
    return np.packbits(_to_bits(vectors, fmt), axis=-1, bitorder="little")


def unpack_activations(records: Bytes, fmt: VectorFormat) -> Vectors:
    """Undo `pack_activations`. Without scale bits every scale is 1."""
    return _from_bits(_record_bits(records, fmt.record_bits), fmt)


def pack_weights(vectors: Vectors, fmt: VectorFormat) -> Bytes:
    """`vectors` int16[..., BO, V+1] to a record per block: uint8[..., ceil(BO * fmt.record_bits / 8)].

    Raises InputError if `vectors` is not a vector tensor, QuantizationError if a value does not fit.
    """
    strings = _to_bits(vectors, fmt)
    return np.packbits(strings.reshape(*strings.shape[:-2], -1), axis=-1, bitorder="little")


def unpack_weights(records: Bytes, fmt: VectorFormat, output_lanes: int) -> Vectors:
    """Undo `pack_weights`: records uint8[..., bytes] to int16[..., output_lanes, V+1]."""
    strings = _record_bits(records, output_lanes * fmt.record_bits)
    return _from_bits(strings.reshape(*strings.shape[:-1], output_lanes, fmt.record_bits), fmt)


def _to_bits(vectors: Vectors, fmt: VectorFormat) -> Bytes:
    """One bit per uint8: [..., V+1] to [..., fmt.record_bits]."""
    check_vectors("vectors", vectors)
    bits, scale_bits = fmt.bits, fmt.scale_width
    elements, scales = vectors[..., :-1], vectors[..., -1:]
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if fmt.signed else (0, 2**bits)
    _check_range("element", elements, low, high, bits)
    if scale_bits:
        _check_range("scale", scales, 0, 2**scale_bits, scale_bits)
    parts = [_bits_of(elements, bits), _bits_of(scales, scale_bits)]
    return np.concatenate([part.reshape(*vectors.shape[:-1], -1) for part in parts], axis=-1)


def _bits_of(values: Vectors, bits: int) -> Bytes:
    """[...] to its low bits [..., bits], least significant first; int16's two's complement gives the sign."""
    return ((values[..., None] >> np.arange(bits, dtype=np.int16)) & 1).astype(np.uint8)


def _check_range(what: str, values: Vectors, low: int, high: int, bits: int) -> None:
    outside = (values < low) | (values >= high)
    if outside.any():
        raise QuantizationError(
            f"{what} {int(values[outside][0])} does not fit {bits} bits ({low}..{high - 1}); quantize the "
            "tensor with the format it is packed in"
        )


def _record_bits(records: Bytes, width: int) -> Bytes:
    size = -(-width // 8)
    if records.dtype != np.uint8 or records.shape[-1:] != (size,):
        raise InputError(
            f"records of {width} bits must be uint8[..., {size}], got {records.dtype}{list(records.shape)}"
        )
    return np.unpackbits(records, axis=-1, count=width, bitorder="little")


def _from_bits(strings: Bytes, fmt: VectorFormat) -> Vectors:
    """[..., fmt.record_bits] to [..., V+1]."""
    bits, scale_bits = fmt.bits, fmt.scale_width
    end = strings.shape[-1] - scale_bits
    elements = _value_of(strings[..., :end].reshape(*strings.shape[:-1], -1, bits))
    if fmt.signed:
        elements = elements - (elements >> (bits - 1) << bits)
    scales = _value_of(strings[..., None, end:]) if scale_bits else np.ones_like(elements[..., :1])
    return np.concatenate([elements, scales], axis=-1).astype(np.int16)


def _value_of(bits: Bytes) -> npt.NDArray[np.int32]:
    """[..., bits], least significant first, to unsigned values [...]."""
    weights = np.int32(1) << np.arange(bits.shape[-1], dtype=np.int32)
    return np.asarray(bits.astype(np.int32) @ weights, np.int32)
