"""Where each layer is below its roofs (Williams et al., CACM 2009)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tvm_vsq.hardware.engines import ENGINES
from tvm_vsq.pages import SERIES, Figure, Paragraph, Section, as_text, new_figure

if TYPE_CHECKING:
    from tvm_vsq.runtime.profile import LayerProfile, Profile

_WORKING = tuple(engine.name for engine in ENGINES if engine.work)
_SYMBOLS = dict(zip(_WORKING, ("circle", "diamond", "square"), strict=True))
_SMALLEST, _LARGEST = 8.0, 34.0  # diameters of markers, in pixels


def roofline_section(profile: Profile) -> Section:
    """Layers over intensity and attained speed, under the roofs of the engines and of DRAM."""
    shown = [layer for layer in profile.layers if _is_on_axes(layer)]
    if not shown:
        return Section("Roofline", (Paragraph("No layer works on the accelerator."),))
    figure = new_figure()
    span = _span([layer.roofline.intensity for layer in shown])
    for unit in _WORKING:
        own = [layer for layer in shown if layer.roofline.unit == unit]
        if own:
            _add_roof(figure, profile, unit, span)
            _add_layers(figure, profile, unit, own)
    figure.update_xaxes(type="log", title="operations for each byte of DRAM", dtick=1)
    figure.update_yaxes(type="log", title="operations a cycle", dtick=1)
    missing = len(profile.layers) - len(shown)
    left_out = f" Left out: {missing} that took no time or no DRAM." if missing else ""
    caption = (
        f"DRAM moves {profile.hardware.dram.bytes_per_cycle} bytes a cycle; {_peaks(profile, shown)}. "
        "A marker is a layer, and as large as its share of the cycles. Below the sloping roof DRAM is the "
        "bound, below the level one the engine. Layers overlap, so one may stand above its roof by work that "
        f"was done before the layer in front of it ended.{left_out}"
    )
    return Section("Roofline", (Figure(figure, "Roofline of all layers", caption, height=460),))


def _is_on_axes(layer: LayerProfile) -> bool:
    roof = layer.roofline
    return roof.attained > 0 and 0 < roof.intensity < math.inf


def _span(intensities: Sequence[float]) -> tuple[float, float]:
    """Ends of the roofs: some room on either side of the layers."""
    return min(intensities) / 3, max(intensities) * 3


def _peak(profile: Profile, unit: str) -> int:
    return profile.hardware.macs_per_cycle if unit == "compute" else profile.hardware.output_lanes


def _peaks(profile: Profile, layers: Sequence[LayerProfile]) -> str:
    units = [unit for unit in _WORKING if any(layer.roofline.unit == unit for layer in layers)]
    return ", ".join(f"{unit} does at most {_peak(profile, unit)} operations in one" for unit in units)


def _add_roof(figure: Any, profile: Profile, unit: str, span: tuple[float, float]) -> None:
    bandwidth = profile.hardware.dram.bytes_per_cycle
    peak = _peak(profile, unit)
    ridge = peak / bandwidth
    x = sorted({span[0], min(max(ridge, span[0]), span[1]), span[1]})
    figure.add_scatter(
        x=x,
        y=[min(peak, bandwidth * each) for each in x],
        mode="lines",
        name=f"roof of {unit}",
        line={"color": SERIES[_WORKING.index(unit)], "dash": "dash", "width": 1.5},
        hoverinfo="skip",
    )


def _add_layers(figure: Any, profile: Profile, unit: str, layers: Sequence[LayerProfile]) -> None:
    most = max(layer.cycles for layer in profile.layers) or 1
    figure.add_scatter(
        x=[layer.roofline.intensity for layer in layers],
        y=[layer.roofline.attained for layer in layers],
        mode="markers",
        name=f"layers of {unit}",
        text=[_hover(layer, profile) for layer in layers],
        hovertemplate="%{text}<extra></extra>",
        marker={
            "symbol": _SYMBOLS[unit],
            "color": SERIES[_WORKING.index(unit)],
            "opacity": 0.7,
            "line": {"width": 1, "color": "var(--page)"},
            "size": [max(_SMALLEST, _LARGEST * math.sqrt(layer.cycles / most)) for layer in layers],
        },
    )


def _hover(layer: LayerProfile, profile: Profile) -> str:
    roof = layer.roofline
    return "<br>".join(
        (
            f"<b>{as_text(layer.name)}</b> {as_text(layer.op)}",
            as_text(layer.shape),
            f"{layer.cycles:,} cycles, {layer.cycles / max(1, profile.cycles):.1%} of all",
            f"{roof.attained:.1f} of {roof.attainable:.1f} operations a cycle, bound by {roof.bound}",
        )
    )
