"""Writes docs/gate-energy.md and its figure from what energies.py measured.

python benchmarks/rtl/energy_report.py [FOLDER]     # of saved streams, for the table of real operands
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
from configurations import BASELINE, GATE_DIGITS, OTHERS, PAPER, PRODUCT_BITS, SIZES, Key, hardware
from energy_tables import arrays_table, others_table, streams_table, units_table
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from kept import Kept
from matplotlib import pyplot as plt
from rich.table import Table
from saved_streams import Saved, saved
from switching import PARTS

from tvm_vsq.rtl import blocks

DOCUMENTS = Path(__file__).parents[2] / "docs"
FORMATS = (*PAPER, "4/4/-/-")
NAMES = ("ppu_lane", "quantizer", "vector_lane", "unpack_inp")


def array_keys() -> list[Key]:
    """By vector size, whole and rounded products of scales."""
    return [
        (notation, size, p)
        for size in SIZES
        for notation in (*PAPER, *OTHERS)
        for p in (*PRODUCT_BITS.get(notation, ()), None)
    ]


def markdown(table: Table, empty: str = "-") -> str:
    """A rich table; rows of which nothing was measured are left out."""
    columns = [list(column.cells) for column in table.columns]
    head = [str(column.header) for column in table.columns]
    rows = [row for row in zip(*columns, strict=True) if any(cell != empty for cell in row[3:] or row)]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def clock_shares(kept: Kept) -> str:
    """Of each of the paper's formats: the clock's part of a MAC without delays, on uniform operands."""
    shares = []
    for notation in PAPER:
        record = kept.of(blocks(hardware((notation, 16, None)))["vector_mac"], "uniform")
        if record:
            parts = record["zero_pj"]
            shares.append(f"{notation} {parts['clock'] / sum(parts.values()):.0%}")
    return ", ".join(shares)


def streams_markdown(kept: Kept, streams: list[Saved]) -> str:
    """Of each network and target the range over its layers."""
    table = streams_table(kept, [s for s in streams if s.block.name == "vector_mac"])
    columns = [list(column.cells) for column in table.columns]
    found: dict[tuple[str, str], list[list[float]]] = {}
    for network, _, _, target, _, _, ratio in zip(*columns, strict=True):
        if ratio != "-":
            found.setdefault((network, target), []).append([float(x) for x in ratio.split(" .. ")])
    lines = [
        "| network | target | layers | without delays | with delays |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for (network, target), ratios in sorted(found.items()):
        ranges = [f"{min(column):.2f} to {max(column):.2f}" for column in zip(*ratios, strict=True)]
        lines.append(f"| {network} | {target} | {len(ratios)} | " + " | ".join(ranges) + " |")
    return "\n".join(lines)


def figure(kept: Kept, path: Path) -> None:
    """Stacked bars of a MAC at V = 16 by part, without delays and with."""
    mpl.rcParams["svg.hashsalt"] = "energy"
    plot, axes = plt.subplots(1, 2, figsize=(12, 4.2), layout="constrained", sharey=True)
    for axis, kind in zip(axes, ("uniform", "laplace"), strict=True):
        base = kept.of(blocks(hardware((BASELINE, 16, None)))["vector_mac"], kind)
        bottoms = {"zero_pj": np.zeros(len(FORMATS)), "delayed_pj": np.zeros(len(FORMATS))}
        records = [kept.of(blocks(hardware((n, 16, None)))["vector_mac"], kind) for n in FORMATS]
        if base is None or None in records:
            continue
        for color, part in enumerate(PARTS):
            for offset, (way, bottom) in zip((-0.2, 0.2), bottoms.items(), strict=True):
                total = sum(base[way].values())
                heights = np.array([record[way].get(part, 0.0) / total for record in records if record])
                label = part if offset < 0 and heights.any() else None
                places = np.arange(len(FORMATS)) + offset
                axis.bar(places, heights, 0.38, bottom=bottom, label=label, color=f"C{color}")
                bottom += heights
        axis.set_xticks(np.arange(len(FORMATS)), FORMATS, rotation=60)
        axis.set_title(f"vector MAC, V = 16, {kind}; left without delays, right with; 8/8/-/- is 1")
        axis.set_ylim(0, 2.2)
    axes[0].legend(fontsize="small", ncols=3, loc="upper left")
    path.parent.mkdir(exist_ok=True)
    plot.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "streams", nargs="?", type=Path, help="folder that benchmarks/rtl/streams.py --save wrote"
    )
    arguments = parser.parse_args()
    kept = Kept()
    streams = streams_markdown(kept, saved(arguments.streams)) if arguments.streams else "Not measured."
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown
    )
    text = environment.get_template("gate-energy.md.j2").render(
        arrays=markdown(arrays_table(kept, array_keys())),
        others=markdown(others_table(kept, NAMES, PAPER)),
        digits=markdown(arrays_table(kept, [(notation, 16, None) for notation in GATE_DIGITS])),
        other_digits=markdown(others_table(kept, NAMES[:3], GATE_DIGITS)),
        units=markdown(units_table(kept)) if units_table(kept).rows else "Not measured.",
        streams=streams,
        clock=clock_shares(kept),
    )
    (DOCUMENTS / "gate-energy.md").write_text(text)
    figure(kept, DOCUMENTS / "figures/gate-energy.svg")
    print(f"wrote {DOCUMENTS / 'gate-energy.md'} and its figure")


if __name__ == "__main__":
    main()
