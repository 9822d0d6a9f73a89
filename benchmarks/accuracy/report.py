"""Tables of docs/accuracy.md."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluate import Result
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from metrics import Metric, sqnr_db
from network import Network
from rows import AIMS, PLAIN, Row, grid, in_simulator, settings, vector_sizes

_SCALES = {"-/-": "per channel", "4/4": "4/4", "6/6": "6/6", "6/10": "6/10", "fp/fp": "fp32"}
"""Scale widths in the order of their columns, and what they are called."""


@dataclass(frozen=True)
class Measured:
    network: Network
    fp32: Result
    results: Mapping[Row, Result]

    def score(self, metric: Metric, row: Row) -> str:
        """Value with its standard error."""
        estimate = metric.estimate(self.results[row].outputs)
        return f"{estimate.value:.1f} ± {estimate.error:.1f}"

    def change(self, metric: Metric, row: Row) -> str:
        """Difference from fp32 with the standard error of paired samples."""
        estimate = metric.estimate(self.results[row].outputs)
        difference = estimate.minus(metric.estimate(self.fp32.outputs))
        return f"{difference.value:+.1f} ± {difference.error:.1f}"

    def sqnr(self, row: Row) -> str:
        return f"{sqnr_db(self.results[row].outputs, self.fp32.outputs):.1f}"

    def agreement(self, row: Row) -> str:
        metric = self.network.metrics[0]
        return f"{metric.agreement(self.results[row].outputs, self.fp32.outputs):.1f}"


def write(measured: Sequence[Measured], path: Path) -> None:
    """Fill in the document's template."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown
    )
    environment.globals.update(grids=grids, list_rows=list_rows, aims=aims, proof=proof, fp32=fp32)
    environment.globals.update(vector_sizes=vector_sizes, settings=settings)
    environment.globals["revision"] = revision()
    path.write_text(environment.get_template("accuracy.md.j2").render(measured=measured))


def revision() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def fp32(measured: Measured) -> str:
    """What the network reaches before quantization."""
    figures = []
    for metric in measured.network.metrics:
        estimate = metric.estimate(measured.fp32.outputs)
        figures.append(f"{metric.name} {estimate.value:.1f} ± {estimate.error:.1f} (n = {metric.samples:,})")
    return ", ".join(figures)


def grids(measured: Measured) -> str:
    """Element widths against scale widths, a table for each figure."""
    columns: list[tuple[str, Callable[[Row], str]]] = [
        (metric.name, lambda row, metric=metric: measured.score(metric, row))
        for metric in measured.network.metrics
    ]
    columns += [("same decision as fp32, %", measured.agreement), ("SQNR of the outputs, dB", measured.sqnr)]
    return "\n\n".join(_grid(name, cell, measured.results) for name, cell in columns)


def _grid(name: str, cell: Callable[[Row], str], results: Mapping[Row, Result]) -> str:
    rows = {(row.elements, row.settings, row.scales): row for row in (*grid(PLAIN), *grid())}
    columns = sorted({key[1:] for key in rows}, key=lambda c: (c[0] != PLAIN, list(_SCALES).index(c[1])))
    elements = sorted({key[0] for key in rows}, reverse=True)
    body = []
    for bits in elements:
        measured = [rows.get((bits, *column)) for column in columns]
        body.append([bits, *(cell(row) if row in results else "" for row in measured)])
    titles = [f"{settings or 'defaults'}: {_SCALES[scales]}" for settings, scales in columns]
    return _table([f"{name}, by W/A", *titles], body)


def list_rows(measured: Measured, rows: Iterable[Row], what: str) -> str:
    """One line for each row: differences from fp32 in every metric."""
    metrics = measured.network.metrics
    header = ["W/A/ws/as", what, *(f"{m.name} - fp32" for m in metrics), "same decision, %", "SQNR, dB"]
    body = [
        [
            row.formats,
            str(row.vector_size) if what == "V" else row.settings or "defaults",
            *(measured.change(metric, row) for metric in metrics),
            measured.agreement(row),
            measured.sqnr(row),
        ]
        for row in rows
        if row in measured.results
    ]
    return _table(header, body)


def aims(measured: Sequence[Measured]) -> str:
    """What was aimed at and what was reached, without fitting and by defaults."""
    header = ["network", "figure", "W/A/ws/as", "aim", "plain", "", "defaults", ""]
    body = []
    for one in measured:
        for formats, aim in AIMS.items():
            rows = [Row(formats, settings=PLAIN), Row(formats)]
            for metric in one.network.metrics if one.results.keys() >= set(rows) else ():
                reached = [(one.change(metric, row), _verdict(one, metric, row, aim)) for row in rows]
                body.append([one.network.name, metric.name, formats, f"-{aim}", *reached[0], *reached[1]])
    return _table(header, body)


def _verdict(measured: Measured, metric: Metric, row: Row, aim: float) -> str:
    lost = metric.estimate(measured.fp32.outputs).value - metric.estimate(measured.results[row].outputs).value
    return "met" if lost <= aim + 1e-9 else "not met"


def proof(measured: Sequence[Measured]) -> str:
    """Torch module against simulator."""
    header = [
        "network",
        "W/A/ws/as",
        "V",
        "settings",
        "samples",
        "same bits",
        "same highest output",
        "SQNR, dB",
    ]
    body = []
    for one in measured:
        for row in in_simulator():
            simulated = one.results[row].simulated if row in one.results else None
            if simulated is not None:
                counts = [simulated.samples, simulated.equal, simulated.same_decision]
                names = [one.network.name, row.formats, str(row.vector_size), row.settings or "defaults"]
                body.append([*names, *map(str, counts), f"{simulated.sqnr_db:.0f}".replace("inf", "-")])
    return _table(header, body)


def _table(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
