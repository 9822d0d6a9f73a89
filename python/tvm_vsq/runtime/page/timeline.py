"""When each engine works on which layer, in a bounded number of bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tvm_vsq.hardware.engines import ENGINES
from tvm_vsq.pages import SERIES, Figure, Paragraph, Section, as_text, new_figure

if TYPE_CHECKING:
    from tvm_vsq.runtime.profile import Profile
    from tvm_vsq.runtime.timeline import ProgramTrace

MOST_BARS = 1500
_COLOURS = SERIES[:-1]  # the last one is gray


@dataclass(frozen=True)
class Bars:
    """Spans of work of one engine on one layer; int64 [bar] each, in cycles of the inference."""

    engine: npt.NDArray[np.int64]
    layer: npt.NDArray[np.int64]
    begin: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.begin)


def timeline_section(profile: Profile) -> Section:
    """The engines over time."""
    if not profile.has_programs:
        text = "A profile that was pickled has no programs: write the page where the inference ran."
        return Section("Timeline", (Paragraph(text),))
    bars, names = bars_of(profile._traces(1))
    if not len(bars):
        return Section("Timeline", (Paragraph("No instruction runs."),))
    figure = new_figure()
    figure.add_bar(
        orientation="h",
        y=[ENGINES[engine].name for engine in bars.engine.tolist()],
        base=bars.begin,
        x=bars.end - bars.begin,
        text=[as_text(names[layer]) for layer in bars.layer.tolist()],
        textposition="inside",
        insidetextanchor="middle",
        customdata=bars.end,
        hovertemplate="<b>%{text}</b><br>%{y}: cycles %{base:,} to %{customdata:,}<extra></extra>",
        marker={"color": [_COLOURS[layer % len(_COLOURS)] for layer in bars.layer.tolist()], "line_width": 0},
    )
    figure.update_layout(barmode="overlay", bargap=0.25, uniformtext={"minsize": 10, "mode": "hide"})
    figure.update_xaxes(title="cycle", tickformat=",d", range=[0, max(1, profile.cycles)])
    order = [engine.name for engine in ENGINES]
    figure.update_yaxes(categoryorder="array", categoryarray=order[::-1])
    caption = (
        "A bar is work of an engine on one layer, and neighbours have different colours. What follows within "
        "a few cycles shares a bar; `profile.to_trace` (`--trace`) writes every instruction."
    )
    return Section("Timeline", (Figure(figure, "Work of each engine over time", caption, height=340),))


def bars_of(traces: list[ProgramTrace], most: int = MOST_BARS) -> tuple[Bars, list[str]]:
    """At most `most` bars of all programs, one after the other, and the names of their layers.

    Neighbours of one layer that are closer than some gap share a bar, and the gap grows until there are few
    enough. Where layers alternate even then, the shortest bars are left out.
    """
    names: list[str] = []
    columns: list[npt.NDArray[np.int64]] = []
    offset = 0
    for trace in traces:
        for engine in range(len(ENGINES)):
            own = np.flatnonzero(trace.engines == engine)
            begin, end = trace.times[own, 2] + offset, trace.times[own, 4] + offset
            layers = trace.layers[own] + len(names)
            columns.append(np.stack([np.full(len(own), engine), layers, begin, end]))
        names += trace.layer_names
        offset += trace.cycles
    spans = np.concatenate(columns, 1) if columns else np.zeros((4, 0), np.int64)
    gap = max(1, offset // 4000)
    bars = _joined(spans, gap)
    while bars.shape[1] > most and gap < offset:
        gap *= 2
        bars = _joined(spans, gap)
    if bars.shape[1] > most:
        longest = np.argsort(bars[2] - bars[3], kind="stable")[:most]
        bars = bars[:, np.sort(longest)]
    return Bars(*bars), names


def _joined(spans: npt.NDArray[np.int64], gap: int) -> npt.NDArray[np.int64]:
    """Spans [engine, layer, begin, end], in their order, with neighbours at most `gap` apart as one."""
    if not spans.shape[1]:
        return spans
    engine, layer, begin, end = spans
    same = (engine[1:] == engine[:-1]) & (layer[1:] == layer[:-1]) & (begin[1:] - end[:-1] <= gap)
    first = np.flatnonzero(np.concatenate([[True], ~same]))
    last = np.concatenate([first[1:], [len(begin)]]) - 1
    joined: npt.NDArray[np.int64] = np.stack([engine[first], layer[first], begin[first], end[last]])
    return joined
