"""The rows of the tables: formats, vector sizes and settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm_vsq import HardwareConfig, QuantConfig
from tvm_vsq.hardware import load_hardware
from tvm_vsq.quantize.config import UNFITTED

GRID = {
    "8/8": ("-/-",),
    "6/6": ("-/-", "4/4"),
    "4/8": ("-/-", "6/10"),
    "4/4": ("-/-", "4/4", "6/6"),
    "3/8": ("-/-", "6/10"),
    "3/3": ("-/-", "4/4", "6/6"),
}
"""For bits of weights and activations, bits of their vector scales."""

PLAIN = "plain"
PLAIN_GRID = {
    "8/8": ("-/-",),
    "6/6": ("-/-", "4/4"),
    "4/8": ("-/-", "6/10"),
    "4/4": ("-/-", "4/4", "fp/fp"),
    "3/3": ("-/-", "4/4"),
}
"""The same with nothing fitted, as in the paper; and fp32 scales, for which there is nothing else."""

AIMS = {"4/8/6/10": 0.3, "4/4/4/4": 1.0}
"""Points that may be lost against fp32."""

VECTOR_SIZES = (16, 32, 64)

SETTINGS: dict[str, dict[str, Any]] = {
    PLAIN: UNFITTED,
    "plain, GPTQ rounding": {**UNFITTED, "weight_rounding": "gptq"},
    "plain, bias correction": {**UNFITTED, "bias_correction": True},
    "plain, channels in order of magnitude": {**UNFITTED, "channel_order": "magnitude"},
    "defaults, each layer fitted alone": {"fitted_inputs": "fp32"},
    "": {},
    "defaults, activation limits by squared error": {"activation_calibration": "mse"},
}
"""Fields of QuantConfig; by their names in the tables, "" for the defaults."""


@dataclass(frozen=True)
class Row:
    """One quantized network."""

    formats: str  # W/A/ws/as
    vector_size: int = 16
    settings: str = ""

    @property
    def elements(self) -> str:
        """W/A."""
        return self.formats[:3]

    @property
    def scales(self) -> str:
        """ws/as."""
        return self.formats[4:]

    @property
    def config(self) -> QuantConfig:
        plain = QuantConfig.parse(self.formats, vector_size=self.vector_size)
        return QuantConfig.model_validate({**plain.model_dump(), **SETTINGS[self.settings]})

    @property
    def hardware(self) -> HardwareConfig:
        """The accelerator that has these formats; for fp32 scales, which none has, any."""
        shipped = load_hardware("vsq-accel")
        if self.config.has_fp32_scales:
            return shipped
        return shipped.with_formats(self.formats, vector_size=self.vector_size)


def grid(settings: str = "") -> list[Row]:
    """Element widths against scale widths."""
    formats = PLAIN_GRID if settings == PLAIN else GRID
    return [Row(f"{e}/{s}", settings=settings) for e, of_elements in formats.items() for s in of_elements]


def vector_sizes() -> list[Row]:
    return [Row(formats, size) for formats in AIMS for size in VECTOR_SIZES]


def settings() -> list[Row]:
    return [Row("4/4/4/4", settings=settings) for settings in SETTINGS]


def in_simulator() -> list[Row]:
    """Rows of which a sample goes through the simulator."""
    return [Row("8/8/-/-", settings=PLAIN), Row("4/4/4/4")]


def all_rows() -> list[Row]:
    """Every row once."""
    return list(dict.fromkeys([*grid(PLAIN), *grid(), *vector_sizes(), *settings()]))
