"""What to quantize to, for the whole network and by layer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, field_serializer, field_validator, model_validator
from typing_extensions import Self

from tvm_vsq.errors import ConfigError
from tvm_vsq.files import parse_json
from tvm_vsq.formats import (
    SCALE_BITS,
    ElementBits,
    LayerFormats,
    VectorFormat,
    VectorSize,
    parse_notation,
    write_notation,
)
from tvm_vsq.frozen import Frozen
from tvm_vsq.hardware import HardwareConfig, list_targets, load_hardware
from tvm_vsq.terminal import Column, Kind, Printed, Table

_VERSION = 1
FORMAT_FIELDS = (
    "weight_bits",
    "activation_bits",
    "weight_scale_bits",
    "activation_scale_bits",
    "vector_size",
)
"""The fields that an accelerator is built for."""


class LayerConfig(Frozen):
    """Number formats of a layer (VS-Quant, section 4), and how its scales are chosen.

    Scale bits are None where a side has no per-vector scale: weights then have one scale per output channel,
    activations one per tensor. "fp32" are single-level floating-point vector scales (VS-Quant, section 4.1):
    no accelerator has them, they are what integer ones approximate, and only `fake_quantize` evaluates
    them. `weight_order` says what weight elements are rounded against: "integer" is
    the rounded integer scale, "paper" the floating-point scale before it is rounded.

    `weight_calibration` chooses weight scales: "max" those that hold the largest weight, "mse" those with the
    least squared error of the weights, "output" of the layer's output on the calibration data
    (`quantize.weights.search`). `weight_rounding`: "nearest", or "gptq", by which the error of one weight is
    made up for by others (`quantize.weights.reconstruct`). `bias_correction` adds to each output channel what
    quantization takes away from its mean on the calibration data (`quantize.weights.layer_weights`).
    `fitted_inputs` is what all of these are fitted to: "quantized", what a layer gets once those before it
    are quantized, for whose errors "gptq" then makes up in part (`quantize.weights.aims`), or "fp32", as if
    they were not.

    `activation_calibration` says which magnitude an activation tensor's coarse scale covers: "max" the
    largest on the calibration data, "percentile" that of `activation_percentile` percent of the values,
    "entropy" and "mse" the one that loses least by Kullback-Leibler divergence or squared error
    (`quantize.activations.limits`). What lies beyond saturates.

    `activation_scales`: "dynamic" vector scales follow from each vector's own content, on the chip, at run
    time; "static" ones from the largest magnitude of their channels on the calibration data. The accelerator
    has the unit for dynamic ones; static ones run on the reference path only.

    `attention`: "cached" where keys and values are kept between programs, so that nothing of a token depends
    on later ones, nor on how many there are: vectors along tokens have scales of 1, and what is masked adds
    nothing (docs/numerics.md, section 7). Inputs are stored beside the results that they are put together
    with, and channels keep the model's order. "whole": vector scales as `activation_scales` says.
    """

    weight_bits: ElementBits
    activation_bits: ElementBits
    weight_scale_bits: int | Literal["fp32"] | None
    activation_scale_bits: int | Literal["fp32"] | None
    vector_size: VectorSize = 16
    weight_order: Literal["integer", "paper"] = "integer"
    weight_calibration: Literal["max", "mse", "output"] = "output"
    weight_rounding: Literal["nearest", "gptq"] = "gptq"
    bias_correction: bool = True
    fitted_inputs: Literal["fp32", "quantized"] = "quantized"
    activation_calibration: Literal["max", "percentile", "entropy", "mse"] = "max"
    activation_percentile: float = Field(default=99.99, gt=0, le=100)
    activation_scales: Literal["dynamic", "static"] = "dynamic"
    attention: Literal["whole", "cached"] = "whole"

    @model_validator(mode="after")
    def _check_settings(self) -> Self:
        for field in ("weight_scale_bits", "activation_scale_bits"):
            bits = getattr(self, field)
            least, most = SCALE_BITS
            if isinstance(bits, int) and not least <= bits <= most:
                raise ValueError(
                    f"{field}={bits} is refused: a vector scale has {least} to {most} bits, or none ('-')"
                )
        for field, plain in (("weight_calibration", "max"), ("weight_rounding", "nearest")):
            method = getattr(self, field)
            if method != plain and self.weight_order == "paper":
                raise ValueError(
                    f"{field}='{method}' rounds elements against the integer scale, which "
                    f"weight_order='paper' does not; give {field}='{plain}' with it"
                )
        if self.activation_scales == "static" and not isinstance(self.activation_scale_bits, int):
            raise ValueError(
                "activation_scales='static' needs integer vector scales: set activation_scale_bits to "
                f"{SCALE_BITS[0]}..{SCALE_BITS[1]}"
            )
        return self

    @property
    def notation(self) -> str:
        """The paper's W/A/ws/as."""
        return write_notation(
            self.weight_bits, self.activation_bits, self.weight_scale_bits, self.activation_scale_bits
        )

    @property
    def needs_moments(self) -> bool:
        """Whether weights or bias are fitted to the layer's input on the calibration data."""
        is_fitted = self.weight_calibration == "output" or self.weight_rounding == "gptq"
        return is_fitted or self.bias_correction

    @property
    def has_fp32_scales(self) -> bool:
        """Whether a side has single-level floating-point vector scales."""
        return "fp32" in (self.weight_scale_bits, self.activation_scale_bits)

    def formats(self, hardware: HardwareConfig) -> LayerFormats:
        """Of a layer, with scale products as `hardware` rounds them. ConfigError for fp32 scales."""
        self.require_integer_scales()
        weight_scale, activation_scale = (
            bits if isinstance(bits, int) else None
            for bits in (self.weight_scale_bits, self.activation_scale_bits)
        )
        weight = VectorFormat(self.weight_bits, weight_scale, self.vector_size)
        activation = VectorFormat(self.activation_bits, activation_scale, self.vector_size)
        kept, passes = hardware.scale_product_bits, hardware.precision_passes
        most = passes * hardware.formats.second_record.bits if passes > 1 else None
        return LayerFormats.of(weight, activation, kept, passes, most)

    def require_integer_scales(self) -> None:
        """Raise ConfigError for fp32 scales, which only `fake_quantize` evaluates."""
        if self.has_fp32_scales:
            raise ConfigError(
                f"quant '{self.notation}': fp32 vector scales have no integer form and run on no "
                "accelerator; tvm_vsq.fake_quantize evaluates them in floating point"
            )


_WIDE_ENOUGH = 8
"""Bits of elements whose rounding is small beside that of 4-bit weights (docs/quantization.md, section 1)."""

UNFITTED_LAYER: dict[str, Any] = {
    "weight_calibration": "max",
    "weight_rounding": "nearest",
    "bias_correction": False,
    "fitted_inputs": "fp32",
}
UNFITTED = {**UNFITTED_LAYER, "channel_order": "model"}
"""What `QuantConfig.unfitted` sets."""


class Rule(Frozen):
    """What is different for some layers.

    layers: a pattern of layer names, in which * stands for anything, as in "encoder.*.output", or one of
        ":first" and ":last" (in program order) and ":depthwise" (convolutions with groups).
    fp32: leave them as they are.
    formats: W/A/ws/as for them, as short for the four fields.
    settings: other fields of LayerConfig with their values, as a mapping.
    """

    layers: str = Field(min_length=1)
    fp32: bool = False
    formats: str | None = None
    settings: tuple[tuple[str, bool | int | float | str | None], ...] = ()

    @field_validator("settings", mode="before")
    @classmethod
    def _as_pairs(cls, value: Any) -> Any:
        """A mapping, which could be changed later, as pairs."""
        return tuple(value.items()) if isinstance(value, Mapping) else value

    @field_serializer("settings")
    def _as_mapping(self, value: Any) -> dict[str, Any]:
        return dict(value)

    @model_validator(mode="after")
    def _check_one_purpose(self) -> Self:
        if self.fp32 == bool(self.formats or self.settings):
            raise ValueError(f"rule for '{self.layers}': give either fp32=True, or formats or settings")
        return self

    def applied_to(self, layer: LayerConfig) -> LayerConfig:
        """`layer` with the fields of this rule. Raises ConfigError that names the rule and the field."""
        formats = parse_notation(self.formats) if self.formats is not None else {}
        fields = {**layer.model_dump(), **formats, **dict(self.settings)}
        return LayerConfig.checked(fields, f"rule for '{self.layers}'")


class QuantConfig(Printed, LayerConfig):
    """How a network is quantized: settings of every layer (`LayerConfig`), and rules for those that differ.

    Whatever makes one raises ConfigError naming the field that is refused.

    rules: applied in order, later ones win; one that matches no layer is an error. Convolutions with
        groups that are not depthwise, which no accelerator runs yet, stay in fp32 unless a rule matches them;
        they are then computed in fp32 arithmetic on the CPU from quantized operands.
    channel_order: "magnitude" sorts the channels between layers, where nothing else reads them, so that
        those that share a vector are of like magnitude (`quantize.reorder`); "model" leaves them alone.
    thin_inputs: "packed" lets neighbouring pixels share the vectors of what the host gives to a convolution,
        where that saves products of vectors and takes no more memory (`quantize.pack`); "model" leaves them.
    residuals: "wide" normalizes twice what is added to the next sum that is normalized
        (`quantize.wide_residuals`), so that no vector's rounding enters the sum; "vectors" adds what layers
        read; "auto" is "wide" for elements of fewer than 8 bits. Sums that are normalized, and read by the
        next sum but by no layer, are numbers of 32 bits (`quantize.wide_streams`) unless it is "vectors".
    strict: refuse layers whose input channels are no multiple of the vector size, instead of filling their
        last vector with zeros; and layers with too few rows of calibration data to fit weights to, instead of
        quantizing them without, with a VsqWarning.
    """

    rules: tuple[Rule, ...] = ()
    channel_order: Literal["magnitude", "model"] = "magnitude"
    thin_inputs: Literal["packed", "model"] = "packed"
    residuals: Literal["auto", "wide", "vectors"] = "auto"
    strict: bool = False

    @field_validator("rules", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        base = self.base
        for rule in self.rules:
            if not rule.fp32 and rule.applied_to(base).has_fp32_scales != self.has_fp32_scales:
                raise ValueError(
                    f"rule for '{rule.layers}': fp32 vector scales are of all layers or of none; "
                    "evaluate the two apart"
                )
        return self

    @property
    def summary(self) -> str:
        """Formats, and what is not as by default."""
        given = [f"{name}={getattr(self, name)!r}" for name in self._other_settings()]
        rules = f"{len(self.rules)} rules" if len(self.rules) != 1 else "1 rule"
        return ", ".join([f"{self.notation} in vectors of {self.vector_size}", *given, rules])

    def _other_settings(self) -> Iterator[str]:
        for name, field in type(self).model_fields.items():
            if name not in (*FORMAT_FIELDS, "rules") and getattr(self, name) != field.default:
                yield name

    def _parts(self, wide: bool) -> Iterator[Table | str]:
        yield f"formats (W/A/ws/as): {self.notation}, in vectors of {self.vector_size}"
        others = [f"{name} {getattr(self, name)}" for name in self._other_settings()]
        yield f"settings other than by default: {', '.join(others) or 'none'}"
        columns = [Column("rule for layers", kind=Kind.NAME), Column("what they get", kind=Kind.TEXT)]
        if self.rules:
            yield Table("Rules, of which later ones win", columns, [_rule_cells(rule) for rule in self.rules])

    def unfitted(self) -> QuantConfig:
        """This config with nothing fitted to calibration data but ranges: what the paper does, in seconds.

        For cycles and energy, which no value of a weight changes, and for comparisons.
        """
        return self.model_copy(update=UNFITTED)

    @property
    def reorders_channels(self) -> bool:
        """Whether the order of channels is to be chosen; the same for all formats, so that they compare."""
        return self.channel_order == "magnitude" and self.attention != "cached"

    @property
    def widens_residuals(self) -> bool:
        """Whether sums that are normalized take numbers of 32 bits in place of vectors."""
        narrow = self.activation_bits < _WIDE_ENOUGH
        return not self.has_fp32_scales and (
            self.residuals == "wide" or (self.residuals == "auto" and narrow)
        )

    @property
    def widens_streams(self) -> bool:
        """Whether sums that norms and further sums read are numbers of 32 bits."""
        return not self.has_fp32_scales and self.residuals != "vectors"

    @property
    def packs_inputs(self) -> bool:
        """Whether thin inputs are packed."""
        return self.thin_inputs == "packed"

    @property
    def base(self) -> LayerConfig:
        """The settings of a layer that no rule matches."""
        return LayerConfig.model_validate({name: getattr(self, name) for name in LayerConfig.model_fields})

    @classmethod
    def parse(cls, notation: str, **settings: Any) -> QuantConfig:
        """Read the paper's notation, such as "4/4/4/4"; `settings` are other fields.

        Raises ConfigError that shows how it is written, or names the field that is refused.
        """
        fields = {**parse_notation(notation), **settings}
        return cls.checked(fields, f"quant {notation!r}")

    def with_formats(self, notation: str) -> QuantConfig:
        """This config with other widths; rules stay as they are. ConfigError if they do not fit."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return QuantConfig.checked({**fields, **parse_notation(notation)}, f"formats {notation!r}")

    def to_json(self) -> str:
        """All fields and the version of the format, as JSON that `from_json` reads."""
        return json.dumps({"version": _VERSION, **self.model_dump()}, indent=2)

    @classmethod
    def from_json(cls, text: str) -> QuantConfig:
        """Read what `to_json` wrote; ConfigError names the field that is missing, unknown or refused."""
        fields = parse_json(text, "a quantization config", ConfigError)
        version = fields.pop("version", None) if isinstance(fields, dict) else None
        if version != _VERSION or type(version) is not int:
            raise ConfigError(
                f"a quantization config must be a JSON object with version {_VERSION}; "
                f"write it with QuantConfig.to_json of this version"
            )
        return cls.checked_json(json.dumps(fields), "quantization config")

    @classmethod
    def of(cls, quant: str | QuantConfig | None, hardware: HardwareConfig) -> QuantConfig:
        """A config from its notation, or as it is, or else what `hardware` is built for."""
        if quant is None:
            return cls.of_hardware(hardware)
        if isinstance(quant, QuantConfig):
            return quant
        return cls.parse(quant, vector_size=hardware.vector_size)

    @classmethod
    def of_hardware(cls, hardware: HardwareConfig) -> QuantConfig:
        """The formats `hardware` is built for."""
        return cls.model_validate({field: getattr(hardware, field) for field in FORMAT_FIELDS})

    def hardware(self, base: HardwareConfig) -> HardwareConfig:
        """`base`, or what it would be if it were built for these formats; to evaluate with.

        Its accumulator is wide enough for the formats of all rules. Raises ConfigError where there is no such
        accelerator (fp32 scales).
        """
        self.require_integer_scales()
        is_built = all(getattr(self, field) == getattr(base, field) for field in FORMAT_FIELDS)
        if base.precision_passes > 1 and not self._misfits(base):
            return base
        built = base if is_built else base.with_formats(self.notation, vector_size=self.vector_size)
        mixed = {rule.applied_to(self.base).notation for rule in self.rules if not rule.fp32}
        others = [base.with_formats(notation) for notation in mixed - {self.notation}]
        widest = max(hardware.accumulator_bits for hardware in [built, *others])
        return built.model_copy(update={"accumulator_bits": widest})

    def _misfits(self, hardware: HardwareConfig) -> bool:
        """Whether some layer's formats are none that `hardware` takes."""
        ruled = [rule.applied_to(self.base) for rule in self.rules if not rule.fp32]
        return any(any(hardware.misfits(layer.formats(hardware))) for layer in [self.base, *ruled])

    def check_hardware(self, hardware: HardwareConfig) -> None:
        """Raise ConfigError naming the first field in which `hardware` differs, and the remedy.

        fp32 scales are refused, as in `hardware`.
        """
        self.require_integer_scales()
        in_passes = hardware.precision_passes > 1 and self.vector_size == hardware.vector_size
        for field in () if in_passes else FORMAT_FIELDS:  # else layer by layer, `transform.check_target`
            wanted, built = getattr(self, field), getattr(hardware, field)
            if wanted != built:
                raise ConfigError(
                    f"quant '{self.notation}' (vector_size={self.vector_size}) has {field}={wanted}, but "
                    f"target '{hardware.label}' is built with {field}={built}; use "
                    f"quant='{hardware.notation}' with vector_size={hardware.vector_size}, or a target whose "
                    f"{field} is {wanted} ({self._targets()})"
                )

    def _targets(self) -> str:
        """Which accelerators take it."""
        if self.rules:
            return "or one that takes formats layer by layer, with precision_passes of 2 or more"
        shipped = [load_hardware(name) for name in list_targets()]
        fits = [each.name for each in shipped if not self._misfits(each)]
        return f"as '{fits[0]}'" if fits else "HardwareConfig.with_formats makes one"


def _rule_cells(rule: Rule) -> tuple[str, str]:
    if rule.fp32:
        return rule.layers, "fp32"
    settings = [f"{name} {value}" for name, value in rule.settings]
    return rule.layers, ", ".join([*([rule.formats] if rule.formats else []), *settings])
