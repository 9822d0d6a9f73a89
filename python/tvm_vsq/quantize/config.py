"""What to quantize to: element widths, vector scale widths, vector size."""

from __future__ import annotations

import json
import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from typing_extensions import Self

from tvm_vsq.errors import ConfigError
from tvm_vsq.hardware import HardwareConfig

_VERSION = 1
_NOTATION = re.compile(r"(\d+)/(\d+)/(\d+|-)/(\d+|-)")
_HELP = (
    "write W/A/ws/as: weight bits, activation bits, weight scale bits, activation scale bits, '-' for no "
    "vector scale; for example '4/4/4/4', '4/8/6/10' or '8/8/-/-'"
)
_SHARED_FIELDS = (
    "weight_bits",
    "activation_bits",
    "weight_scale_bits",
    "activation_scale_bits",
    "vector_size",
)


class QuantConfig(BaseModel):
    """Number formats of a quantized network (VS-Quant, section 4).

    Scale bits are None where a side has no per-vector scale: weights then have one scale per output channel,
    activations one per tensor. `weight_order` says what weight elements are rounded against: "integer" is the
    rounded integer scale, "paper" the floating-point scale before it is rounded.

    `weight_calibration` chooses weight scales: "max" those that hold the largest weight, "mse" those with the
    least squared error of the weights (`quantize.weight_search`).

    `activation_calibration` says which magnitude an activation tensor's coarse scale covers: "max" the
    largest on the calibration data, "percentile" that of `activation_percentile` percent of the values,
    "entropy" and "mse" the one that loses least by Kullback-Leibler divergence or squared error
    (`quantize.limits`). What lies beyond saturates.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    weight_bits: int = Field(ge=2, le=8)
    activation_bits: int = Field(ge=2, le=8)
    weight_scale_bits: int | None = Field(ge=1, le=10)
    activation_scale_bits: int | None = Field(ge=1, le=10)
    vector_size: Literal[8, 16, 32, 64] = 16
    weight_order: Literal["integer", "paper"] = "integer"
    weight_calibration: Literal["max", "mse"] = "max"
    activation_calibration: Literal["max", "percentile", "entropy", "mse"] = "max"
    activation_percentile: float = Field(default=99.99, gt=0, le=100)

    @model_validator(mode="after")
    def _check_weights(self) -> Self:
        if self.weight_calibration == "mse" and self.weight_order == "paper":
            raise ValueError(
                "weight_calibration='mse' rounds elements against the integer scale; "
                "it has no weight_order='paper'"
            )
        return self

    @classmethod
    def parse(
        cls, notation: str, *, vector_size: int = 16, weight_order: Literal["integer", "paper"] = "integer"
    ) -> QuantConfig:
        """Read the paper's notation, such as "4/4/4/4". Raises ConfigError that shows how it is written."""
        match = _NOTATION.fullmatch(notation.strip()) if isinstance(notation, str) else None
        if match is None:
            raise ConfigError(f"quant {notation!r} is not understood: {_HELP}")
        weight, activation, *scales = (None if text == "-" else int(text) for text in match.groups())
        values = {
            "weight_bits": weight,
            "activation_bits": activation,
            "weight_scale_bits": scales[0],
            "activation_scale_bits": scales[1],
            "vector_size": vector_size,
            "weight_order": weight_order,
        }
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            raise ConfigError(
                f"quant {notation!r}: {first['loc'][0]}={first['input']!r} is refused: {first['msg']}; "
                f"{_HELP}"
            ) from None

    def to_json(self) -> str:
        """All fields and the version of the format, as JSON that `from_json` reads."""
        return json.dumps({"version": _VERSION, **self.model_dump()}, indent=2)

    @classmethod
    def from_json(cls, text: str) -> QuantConfig:
        """Read what `to_json` wrote; ConfigError names the field that is missing, unknown or refused."""
        try:
            fields = json.loads(text)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"a quantization config must be JSON: {error}") from None
        if not isinstance(fields, dict) or fields.pop("version", None) != _VERSION:
            raise ConfigError(
                f"a quantization config must be a JSON object with version {_VERSION}; "
                f"write it with QuantConfig.to_json of this version"
            )
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise ConfigError(
                f"quantization config: {where}: {first['msg']} (got {first['input']!r})"
            ) from None

    @classmethod
    def of_hardware(cls, hardware: HardwareConfig) -> QuantConfig:
        """The formats `hardware` is built for."""
        return cls.model_validate({field: getattr(hardware, field) for field in _SHARED_FIELDS})

    @property
    def notation(self) -> str:
        """The paper's W/A/ws/as."""
        scales = (self.weight_scale_bits, self.activation_scale_bits)
        return f"{self.weight_bits}/{self.activation_bits}/" + "/".join(
            "-" if s is None else str(s) for s in scales
        )

    def check_hardware(self, hardware: HardwareConfig) -> None:
        """Raise ConfigError naming the first field in which `hardware` differs, and the remedy."""
        for field in _SHARED_FIELDS:
            wanted, built = getattr(self, field), getattr(hardware, field)
            if wanted != built:
                raise ConfigError(
                    f"quant '{self.notation}' (vector_size={self.vector_size}) has {field}={wanted}, but "
                    f"target '{hardware.name}' is built with {field}={built}; use "
                    f"quant='{hardware.notation}' with vector_size={hardware.vector_size}, or a target whose "
                    f"{field} is {wanted}"
                )
