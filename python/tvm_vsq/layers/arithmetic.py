"""The arithmetic that a module was quantized for, where its operators do not say it."""

from __future__ import annotations

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.tvm_compat import IRModule

_ATTRIBUTE = "vsq_arithmetic"
_FIELDS = ("scale_product_bits", "multiplier_bits")
_PASSES = "precision_passes"


def with_arithmetic(module: IRModule, hardware: HardwareConfig) -> IRModule:
    """`module`, quantized for `hardware`, with the fields on which its results depend."""
    fields = {field: getattr(hardware, field) or 0 for field in _FIELDS}
    if hardware.precision_passes > 1:
        fields[_PASSES] = hardware.precision_passes
    return module.with_attr(_ATTRIBUTE, fields)


def passes_of(module: IRModule) -> int:
    """Digits that elements may have on the accelerator for which `module` was quantized."""
    return arithmetic_of(module).get(_PASSES) or 1


def arithmetic_of(module: IRModule) -> dict[str, int | None]:
    """Those fields of HardwareConfig; empty for a module that comes from elsewhere."""
    recorded = (module.attrs or {}).get(_ATTRIBUTE, {})
    return {str(field): int(value) or None for field, value in recorded.items()}
