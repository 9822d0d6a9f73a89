"""The rows of the tables: formats, vector sizes and settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm_vsq import HardwareConfig, QuantConfig
from tvm_vsq.hardware import load_hardware

ELEMENTS = ("8/8", "6/6", "4/8", "4/4", "3/8", "3/3")
"""Bits of weights and activations."""

SCALES = ("-/-", "4/4", "6/6", "6/10", "fp/fp")
"""Bits of the vector scales of weights and activations: none, integers, fp32."""

_LEFT_OUT = {"8/8/4/4", "8/8/6/6", "8/8/6/10", "8/8/fp/fp", "6/6/6/10", "4/8/6/6", "3/8/6/6"}
AIMS = {"4/4/4/4": 1.0, "4/8/6/10": 0.3}
"""Points that may be lost against fp32."""

SWITCHES: dict[str, dict[str, Any]] = {
    "activation limits by squared error": {"activation_calibration": "mse"},
    "weight scales by squared error": {"weight_calibration": "mse"},
    "weight scales by the output's error": {"weight_calibration": "output"},
    "GPTQ rounding": {"weight_rounding": "gptq"},
    "bias correction": {"bias_correction": True},
    "the last three together": {
        "weight_calibration": "output",
        "weight_rounding": "gptq",
        "bias_correction": True,
    },
}
SWITCHED = ("4/8/6/10", "4/4/4/4", "3/8/6/10")
PER_CHANNEL = ("4/8/-/-", "4/4/-/-")
"""Shown with all switches, so that per-vector scales are compared with the best there is without."""


@dataclass(frozen=True)
class Row:
    """One quantized network."""

    formats: str  # W/A/ws/as
    vector_size: int = 16
    switch: str = ""

    @property
    def config(self) -> QuantConfig:
        plain = QuantConfig.parse(self.formats, vector_size=self.vector_size)
        return QuantConfig.model_validate({**plain.model_dump(), **SWITCHES.get(self.switch, {})})

    @property
    def hardware(self) -> HardwareConfig:
        """The accelerator that has these formats; for fp32 scales, which none has, any."""
        shipped = load_hardware("vsq-accel")
        if self.config.has_fp32_scales:
            return shipped
        return shipped.with_formats(self.formats, vector_size=self.vector_size)


def grid() -> list[Row]:
    """Element widths against scale widths."""
    formats = [f"{elements}/{scales}" for elements in ELEMENTS for scales in SCALES]
    return [Row(name) for name in formats if name not in _LEFT_OUT]


def vector_sizes() -> list[Row]:
    return [Row(formats, size) for formats in ("4/8/6/10", "4/4/4/4") for size in (16, 32, 64)]


def switches() -> list[Row]:
    together = list(SWITCHES)[-1]
    return [
        *(Row(formats, switch=switch) for formats in SWITCHED for switch in ("", *SWITCHES)),
        *(Row(formats, switch=switch) for formats in PER_CHANNEL for switch in ("", together)),
    ]


def in_simulator() -> list[Row]:
    """Rows of which a sample goes through the simulator."""
    return [Row("8/8/-/-"), *(Row(formats) for formats in AIMS), Row("4/4/4/4", 64), switches()[-3]]


def all_rows() -> list[Row]:
    """Every row once, in order of their tables."""
    return list(dict.fromkeys([*grid(), *vector_sizes(), *switches(), *in_simulator()]))
