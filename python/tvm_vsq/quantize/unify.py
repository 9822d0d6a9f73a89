"""Gives each tensor one format where layers read it in several, on accelerators that take all of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tvm_vsq.errors import ConfigError
from tvm_vsq.formats import LayerFormats
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.quantize.plan import ActivationSettings, Plan, QuantizedLayer, Reading

_Stored = tuple[Any, bool]
"""A stored tensor, and whether it is read in place of weights."""

_Widest = dict[_Stored, ActivationSettings]
"""How all read it."""


def unified(plan: Plan, hardware: HardwareConfig) -> Plan:
    """`plan`, where a tensor is stored with as many bits as the layer wants that wants most of it, and all
    read that; what is added to a result is read as others read it.

    So no result leaves the accelerator because its readers have different formats. Only with
    `precision_passes`: elsewhere only one format can be read at all.
    Raises ConfigError that names two layers, one of which would get scales from the other that its products
    cannot have on `hardware` (`readers_together`).
    """
    if hardware.precision_passes == 1:
        return plan
    for together in readers_together(plan, hardware):
        _require_scales_of_all_or_none(together, hardware)
    while True:
        widest = _widest(plan)
        layers = tuple(_settled(layer, plan, widest, hardware) for layer in plan.layers)
        if layers == plan.layers:
            return plan
        plan = replace(plan, layers=layers)


def readers_together(plan: Plan, hardware: HardwareConfig) -> list[dict[str, QuantizedLayer]]:
    """Layers by name that read tensors with the same width of scales, where that matters: if one has vector
    scales, all get them, and those whose products have two need both.

    So where `hardware` runs mixes and rounds these products: it drops as many bits of each, or takes layers
    without scales. What a layer adds to its result makes no difference, since it is read as others read it.
    """
    if hardware.precision_passes == 1 or not hardware.product_shift:
        return []
    found: list[tuple[set[_Stored], dict[str, QuantizedLayer]]] = []
    for layer in plan.layers:
        readings = [reading for role, reading in layer.roles.items() if role != "residual"]
        for is_second in (False, True):
            tensors = {
                (source.tensor, is_second)
                for reading in readings
                if reading.settings.is_second == is_second
                for source in plan.sources(reading)
            }
            if not tensors:
                continue
            layers: dict[str, QuantizedLayer] = {}
            for joined in [each for each in found if not tensors.isdisjoint(each[0])]:
                found.remove(joined)
                tensors |= joined[0]
                layers |= joined[1]
            found.append((tensors, {**layers, layer.name: layer}))
    return [layers for _, layers in found]


def _require_scales_of_all_or_none(together: Mapping[str, QuantizedLayer], hardware: HardwareConfig) -> None:
    scaled = [layer for layer in together.values() if layer.settings.scale_bits]
    unscaled = [
        layer for layer in together.values() if layer.multiplies_scales and not layer.settings.scale_bits
    ]
    if scaled and unscaled:
        has, lacks = scaled[0], unscaled[0]
        raise ConfigError(
            f"layers '{lacks.name}' ({lacks.config.notation}) and '{has.name}' ({has.config.notation}) read "
            f"one tensor, or two that are stored alike, so that both get its vector scales; but target "
            f"'{hardware.label}' rounds products of scales to {hardware.product_bits} bits, and "
            f"'{lacks.name}' has none for its weights; give both formats with vector scales "
            f"({hardware.notation}), or both formats without"
        )


def _widest(plan: Plan) -> _Widest:
    found: _Widest = {}
    readings = [item for layer in plan.layers for item in layer.roles.items()]
    for residuals in (False, True):
        settled = set(found) if residuals else set()
        for role, reading in readings:
            if (role == "residual") != residuals:
                continue
            for source in plan.sources(reading):
                key = source.tensor, reading.settings.is_second
                if key not in settled:
                    found[key] = _join(found.get(key), reading.settings)
    return found


def _join(a: ActivationSettings | None, b: ActivationSettings) -> ActivationSettings:
    """The one with more bits, and scales that are as wide as those of either."""
    if a is None or a == b:
        return b
    first = max((a, b), key=lambda settings: (settings.bits, settings.scale_bits or 0))
    return replace(first, scale_bits=max(a.scale_bits or 0, b.scale_bits or 0) or None)


def _settled(layer: QuantizedLayer, plan: Plan, widest: _Widest, hardware: HardwareConfig) -> QuantizedLayer:
    """`layer`, which reads what there is."""
    found = {role: _as_stored(reading, plan, widest) for role, reading in layer.roles.items()}
    apart = {role: settings for role, settings in found.items() if role in ("residual", "second")}
    own = [settings for role, settings in found.items() if role not in apart]
    if not own:
        return layer
    x = own[0]
    for settings in own[1:]:
        x = _join(x, settings)
    if x == layer.settings:
        return replace(layer, apart=apart)
    config = layer.config.model_copy(
        update={"activation_bits": x.bits, "activation_scale_bits": x.scale_bits}
    )
    activation = replace(layer.formats.activation, bits=x.bits, scale_bits=x.scale_bits)
    kept, passes = hardware.scale_product_bits, hardware.precision_passes
    most = layer.formats.second_limit
    formats = LayerFormats.of(layer.formats.weight, activation, kept, passes, most)
    return replace(layer, config=config, formats=formats, apart=apart)


def _as_stored(reading: Reading, plan: Plan, widest: _Widest) -> ActivationSettings:
    found: ActivationSettings | None = None
    for source in plan.sources(reading):
        found = _join(found, widest[source.tensor, reading.settings.is_second])
    return reading.settings if found is None else found
