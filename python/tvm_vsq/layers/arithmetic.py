"""The arithmetic that a module was quantized for, where its operators do not say it."""

from __future__ import annotations

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.tvm_compat import IRModule

_ATTRIBUTE = "vsq_arithmetic"
_FIELDS = ("scale_product_bits", "multiplier_bits")


def with_arithmetic(module: IRModule, hardware: HardwareConfig) -> IRModule:
    """`module`, quantized for `hardware`, with the fields on which its results depend."""
    return module.with_attr(_ATTRIBUTE, {field: getattr(hardware, field) or 0 for field in _FIELDS})


def arithmetic_of(module: IRModule) -> dict[str, int | None]:
    """Those fields of HardwareConfig; empty for a module that comes from elsewhere."""
    recorded = (module.attrs or {}).get(_ATTRIBUTE, {})
    return {str(field): int(value) or None for field, value in recorded.items()}
