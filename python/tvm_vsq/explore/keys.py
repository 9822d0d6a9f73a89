"""What a result depends on, as digests: equal digests, equal results."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tvm_vsq.graph import bindings
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.hardware.timed import timed_fields
from tvm_vsq.network import source_of
from tvm_vsq.quantize import QuantConfig
from tvm_vsq.quantize.data import batches
from tvm_vsq.tvm_compat import IRModule

NUMERIC = (
    "vector_size",
    "weight_bits",
    "activation_bits",
    "weight_scale_bits",
    "activation_scale_bits",
    "scale_product_bits",
    "accumulator_bits",
    "guard_bits",
    "multiplier_bits",
    "window_taps",
    "precision_passes",
)
"""Fields of an accelerator that the integers of a network depend on. Where it works on whole rows, so does
`group_channels`: rows that fill no whole group run in fp32."""


def digest(*parts: Any) -> str:
    """32 hex digits of plain data or bytes."""
    state = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else json.dumps(part, sort_keys=True).encode()
        state.update(len(data).to_bytes(8, "little") + data)
    return state.hexdigest()[:32]


def has_rows(canonical: IRModule) -> bool:
    """Whether an operator of the network works on whole rows, as softmax and norms do."""
    sources = (source_of(binding.value) for binding in bindings(canonical["main"]))
    return any(source is not None and source.rows is not None for source in sources)


def numbers_key(config: QuantConfig, hardware: HardwareConfig, with_rows: bool) -> str:
    """Of the integers that a network becomes, and so of its accuracy."""
    fields = {name: getattr(hardware, name) for name in NUMERIC}
    return digest(config.model_dump(), fields, hardware.group_channels if with_rows else 0)


def programs_key(numbers: str, hardware: HardwareConfig, schedules: str) -> str:
    """Of the programs of these integers, and so of their cycles and events. schedules: as a digest."""
    return digest(numbers, timed_fields(hardware), schedules)


def point_key(programs: str, hardware: HardwareConfig, technology: Any) -> str:
    """Of all that is measured: a clock and a process besides. technology: plain data, or None."""
    return digest(programs, hardware.clock_mhz, hardware.technology, technology)


def data_digest(canonical: IRModule, data: Any) -> str:
    """Of what the network is calibrated with."""
    state = hashlib.sha256()
    for arrays in batches(canonical["main"], data):
        for array in arrays:
            state.update(str((array.dtype, array.shape)).encode() + array.tobytes())
    return state.hexdigest()[:32]
