"""The plot of a quantization report: layers side by side, in panels that share them."""

from __future__ import annotations

import os
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

from tvm_vsq.files import PLOTS, replacing

if TYPE_CHECKING:
    from tvm_vsq.study.report import OperandReport, QuantReport

# Okabe and Ito's, which most readers tell apart; markers differ, too.
_WEIGHTS = {"color": "#d55e00", "marker": "D"}
_INPUT = {"color": "#009e73", "marker": "s"}
_OUTPUT = {"color": "#0072b2", "marker": "o"}


def write_plot(report: QuantReport, path: str | os.PathLike[str]) -> None:
    """As `QuantReport.plot`."""
    figure = figure_of(report)
    dots = min(100, int(30_000 / figure.get_figwidth()))  # an inch; more in all is refused
    with replacing(path, *PLOTS) as draft:
        figure.savefig(draft, dpi=dots)


def figure_of(report: QuantReport) -> Any:
    """A matplotlib figure of four panels: SQNR, bits an element, clipping, and codes of weights."""
    from matplotlib.figure import Figure

    names = report.layer_names
    weights = [layer.weights for layer in report.layers]
    inputs = [layer.activations for layer in report.layers]
    width = min(40.0, max(8.0, 0.26 * len(names) + 3))  # inches
    figure = Figure(figsize=(width, 11), layout="constrained")
    panels = figure.subplots(4, 1, sharex=True, height_ratios=(3, 2, 2, 3))
    ratio, bits, clipping, codes = panels
    _lines(ratio, ([w.sqnr_db if w else nan for w in weights], "weights", _WEIGHTS))
    _lines(ratio, ([a.sqnr_db for a in inputs], "input", _INPUT))
    _lines(ratio, ([layer.output_sqnr_db for layer in report.layers], "output", _OUTPUT))
    ratio.set(ylabel="SQNR, dB", title=f"network: {report.output_sqnr_db:.1f} dB over {report.samples} runs")
    for panel, field, factor, label in (
        (bits, "bits_per_element", 1, "bits an element,\nwith scales and padding"),
        (clipping, "clipped", 100, "clipped, %"),
    ):
        for offset, operands, name, style in (
            (-0.2, weights, "weights", _WEIGHTS),
            (0.2, inputs, "input", _INPUT),
        ):
            heights = [factor * getattr(each, field) if each else nan for each in operands]
            at = np.arange(len(names)) + offset
            panel.bar(at, heights, 0.4, label=name, color=style["color"])
        panel.set(ylabel=label)
    _draw_codes(figure, codes, weights)
    for panel in (ratio, bits, clipping):
        panel.grid(axis="y", alpha=0.3)
        panel.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    codes.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
    codes.set_xlim(-0.6, len(names) - 0.4)
    return figure


def _lines(panel: Any, series: tuple[list[float], str, dict[str, str]]) -> None:
    values, label, style = series
    panel.plot(range(len(values)), values, label=label, linewidth=1, markersize=5, **style)


def _draw_codes(figure: Any, panel: Any, weights: list[OperandReport | None]) -> None:
    """A column a layer, dark where a code of its weights occurs often."""
    found = [operand for operand in weights if operand]
    panel.set(ylabel="code of weights")
    if not found:
        return
    lowest = min(operand.lowest_code for operand in found)
    highest = max(operand.lowest_code + len(operand.codes) for operand in found)
    shares = np.full((highest - lowest, len(weights)), nan)
    for column, operand in enumerate(weights):
        if operand:
            first = operand.lowest_code - lowest
            counts = np.array(operand.codes, float)
            shares[first : first + len(counts), column] = 100 * counts / max(1.0, counts.sum())
    extent = (-0.5, len(weights) - 0.5, lowest - 0.5, highest - 0.5)
    image = panel.imshow(
        shares, cmap="Blues", aspect="auto", origin="lower", extent=extent, interpolation="nearest"
    )
    # where the legends of the other panels stand
    figure.colorbar(image, cax=panel.inset_axes((1.015, 0, 0.015, 1)), label="share, %")
