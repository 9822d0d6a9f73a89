"""The part of a page that a quantization report gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tvm_vsq.pages import SERIES, Column, Details, Figure, Paragraph, Section, Table, name_ticks, new_figure

if TYPE_CHECKING:
    from tvm_vsq.study.report import QuantReport

_COLUMNS = (
    Column("layer"),
    Column("W/A/ws/as"),
    Column("output", ",.1f", unit="dB", help="SQNR of its result against fp32, with the error of all before"),
    Column("weights", ",.1f", unit="dB", help="SQNR of its weights"),
    Column("input", ",.1f", unit="dB", help="SQNR of what it reads, with the error of all layers before"),
    Column("bits a weight", ".2f", help="with scales and padding"),
    Column("bits an activation", ".2f", help="with scales and padding"),
    Column("weights clipped", ".2%"),
    Column("input clipped", ".2%"),
    Column("padding", ".0%", help="lanes of its input vectors that no channel fills"),
    Column("V", ",d", help="vector size"),
)


def section_of(report: QuantReport) -> Section:
    """The network in a sentence, a plot over layers, and all numbers."""
    worst = min(report.layers, key=lambda layer: layer.output_sqnr_db, default=None)
    lowest = f" Lowest of all layers: {worst.name}, {worst.output_sqnr_db:.1f} dB." if worst else ""
    runs = "run" if report.samples == 1 else "runs"
    text = (
        f"The network's results have {report.output_sqnr_db:.1f} dB against fp32 ({report.samples} {runs})."
        f"{lowest} 6 dB more are half the error."
    )
    rows = [
        (
            layer.name,
            layer.formats,
            layer.output_sqnr_db,
            layer.weights.sqnr_db if layer.weights else None,
            layer.activations.sqnr_db,
            layer.weights.bits_per_element if layer.weights else None,
            layer.activations.bits_per_element,
            layer.weights.clipped if layer.weights else None,
            layer.activations.clipped,
            layer.padding,
            layer.vector_size,
        )
        for layer in report.layers
    ]
    left = [
        Details(
            f"In fp32: {len(report.fp32)}",
            (Table("Left in fp32", (Column("operator"), Column("why")), list(report.fp32.items())),),
        )
    ]
    return Section(
        "Quantization quality",
        (
            Paragraph(text),
            *([_figure(report)] if report.layers else []),
            Table("Quality by layer", _COLUMNS, rows),
            *(left if report.fp32 else []),
        ),
    )


def _figure(report: QuantReport) -> Figure:
    figure = new_figure()
    at = list(range(len(report.layers)))
    of_layers = (
        ("output", "circle", [layer.output_sqnr_db for layer in report.layers]),
        ("weights", "diamond", [layer.weights.sqnr_db if layer.weights else None for layer in report.layers]),
        ("input", "square", [layer.activations.sqnr_db for layer in report.layers]),
    )
    for colour, (name, symbol, values) in zip(SERIES, of_layers, strict=False):
        figure.add_scatter(
            x=at,
            y=values,
            name=name,
            mode="lines+markers",
            marker={"symbol": symbol, "size": 8, "color": colour},
            line={"color": colour, "width": 1},
            hovertemplate=f"{name}: %{{y:.1f}} dB<extra></extra>",
        )
    figure.update_layout(hovermode="x unified")
    figure.update_xaxes(name_ticks([layer.name for layer in report.layers]))
    figure.update_yaxes(title="SQNR, dB", rangemode="tozero")
    return Figure(figure, "Signal to quantization noise of each layer", height=420)
