"""The rows of the tables: formats, vector sizes and settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm_vsq import HardwareConfig, QuantConfig
from tvm_vsq.hardware import load_hardware

GRID = {
    "8/8": ("-/-",),
    "6/6": ("-/-", "4/4"),
    "4/8": ("-/-", "6/10"),
    "4/4": ("-/-", "4/4", "6/6", "fp/fp"),
    "3/8": ("-/-", "6/10"),
    "3/3": ("-/-", "4/4", "6/6", "fp/fp"),
}
"""For bits of weights and activations, bits of their vector scales: none, integers, fp32."""

AIMS = {"4/8/6/10": 0.3, "4/4/4/4": 1.0}
"""Points that may be lost against fp32."""

VECTOR_SIZES = (16, 32, 64)

FITTED = "all three"
SWITCHES: dict[str, dict[str, Any]] = {
    "activation limits by squared error": {"activation_calibration": "mse"},
    "weight scales by the output's error": {"weight_calibration": "output"},
    "GPTQ rounding": {"weight_rounding": "gptq"},
    "bias correction": {"bias_correction": True},
    FITTED: {"weight_calibration": "output", "weight_rounding": "gptq", "bias_correction": True},
}
"""Fields of QuantConfig; FITTED are the three before it together."""

SWITCHED: dict[str, tuple[str, ...]] = {
    "4/8/6/10": ("GPTQ rounding", FITTED),
    "4/4/4/4": tuple(SWITCHES),
    "3/8/6/10": (FITTED,),
    "4/8/-/-": (FITTED,),  # so that per-vector scales are compared with the best there is without
    "4/4/-/-": (FITTED,),
}


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
    return [Row(f"{elements}/{scales}") for elements, of_elements in GRID.items() for scales in of_elements]


def vector_sizes() -> list[Row]:
    return [Row(formats, size) for formats in AIMS for size in VECTOR_SIZES]


def switches() -> list[Row]:
    return [Row(formats, switch=switch) for formats, names in SWITCHED.items() for switch in ("", *names)]


def in_simulator() -> list[Row]:
    """Rows of which a sample goes through the simulator."""
    return [Row("8/8/-/-"), *(Row(formats) for formats in AIMS), Row("4/4/4/4", switch=FITTED)]


def all_rows() -> list[Row]:
    """Every row once, in the order of the tables."""
    return list(dict.fromkeys([*grid(), *vector_sizes(), *switches()]))
