"""Writes docs/area.md and its figure from what areas.py synthesised, and the coefficients that fit.py wrote.

python benchmarks/rtl/area_report.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import matplotlib as mpl
import numpy as np
from areas import BLOCKS, identity, is_measured, measured
from configurations import (
    BASELINE,
    DIGITS,
    HELD_OUT,
    OTHERS,
    PAPER,
    PRODUCT_BITS,
    SIZES,
    Key,
    fitted,
    hardware,
    one_pass,
)
from fit import errors_of, rows
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from library import gate_um2
from matplotlib import pyplot as plt
from synthesis import PERIOD_NS

from tvm_vsq.hardware import list_targets, list_technologies, load_hardware, load_technology
from tvm_vsq.hardware.area import Area, compared
from tvm_vsq.hardware.components import GROUPS
from tvm_vsq.hardware.gates import PARTS, load_gates
from tvm_vsq.hardware.peak import peak_of
from tvm_vsq.rtl import blocks

DOCUMENTS = Path(__file__).parents[2] / "docs"
FORMATS = (*PAPER, *OTHERS)
# Instances of vector_mac, by what they are.
SPLIT = {
    "multipliers": ("lane.multiply",),
    "tree": ("tree",),
    "scale unit": ("scaled.scale", "scaled.weight_scale_register", "scaled.activation_scale_register"),
    "accumulator": ("scaled.accumulate", "plain.accumulate"),
    "registers": ("weight_register", "activation_register", "sign_register", "product_register"),
}
# Table 1 of Stillmaker and Baas: area in this node of what takes 1 at 45 nm.
NODES = {32: 0.46, 20: 0.21, 16: 0.19, 14: 0.17, 10: 0.10, 7: 0.059}


def result(key: Key, block: str) -> dict:
    """What was synthesised of a block; a KeyError says that areas.py has not run."""
    return dict(measured()[identity(blocks(hardware(key))[block])])


def area(key: Key, block: str = "vector_mac") -> float:
    """In gate equivalents."""
    return float(result(key, block)["area"]) / gate_um2()


def table(header: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """In Markdown; the first column is text, the rest are numbers."""
    head = list(header)
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *map(list, lines)))


def vector_macs() -> str:
    """Relative to 8/8/-/- of the same vector size, and the split at V = 16."""
    lines = []
    for notation in FORMATS:
        ratios = [f"{area((notation, v, None)) / area((BASELINE, v, None)):.3f}" for v in SIZES]
        parts, whole = result((notation, 16, None), "vector_mac")["areas"], area((notation, 16, None))
        split = [
            f"{sum(parts.get(name, 0.0) for name in names) / gate_um2() / whole:.2f}"
            for names in SPLIT.values()
        ]
        lines.append([notation, str(hardware((notation, 16, None)).product_bits or "-"), *ratios, *split])
    return table(["W/A/ws/as", "P", *(f"V = {v}" for v in SIZES), *SPLIT], lines)


def product_bits() -> str:
    """Areas with rounded products of scales."""
    lines = []
    for notation, kept in PRODUCT_BITS.items():
        for p in (*kept, None):
            ratios = [area((notation, v, p)) / area((BASELINE, v, None)) for v in SIZES]
            width = hardware((notation, 16, p)).product_bits
            lines.append([notation, str(width), *(f"{ratio:.3f}" for ratio in ratios)])
    return table(["W/A/ws/as", "P", *(f"V = {v}" for v in SIZES)], lines)


def other_blocks() -> str:
    """Of the PPU, the vector unit and LOAD, in gate equivalents."""
    others = ("vector_mac", "unpack_uop", "unpack_par", "unpack_acc")
    names = [name for name in BLOCKS if name not in others]
    lines = [
        [notation, f"{area((notation, 16, None)):,.0f}"]
        + [f"{area((notation, 16, None), name):,.0f}" for name in names]
        for notation in PAPER
    ]
    return table(["W/A/ws/as", "vector_mac", *names], lines)


def digits() -> str:
    """Of blocks with digits, in gate equivalents, over those of the same formats without."""
    names = ("vector_mac", "ppu_lane", "quantizer", "vector_lane", "unpack_second")
    lines = []
    for key in DIGITS:
        found = hardware(key)
        cells = [
            found.formats.notation,
            str(found.precision_passes),
            str(key[1]),
            str(found.product_bits or "-"),
        ]
        for name in names:
            own, one = area(key, name), area(one_pass(key), name)
            cells.append(f"{own:,.0f} ({own / one:.2f})")
        lines.append(cells)
    return table(["W/A/ws/as", "passes", "V", "P", *names], lines)


def slacks() -> str:
    """The worst one of each block."""
    lines = []
    for name in BLOCKS:
        keys = [key for key in (*fitted(), *HELD_OUT, *DIGITS) if is_measured(key, name)]
        found = {key: float(result(key, name)["slack_ns"]) for key in keys}
        worst = min(found, key=lambda key: found[key])
        notation, size, kept = worst
        where = f"{notation}, V = {size}" + (f", P = {kept}" if kept else "")
        lines.append([name, str(len(keys)), f"{found[worst]:.2f}", f"{PERIOD_NS - found[worst]:.2f}", where])
    return table(["block", "configurations", "least slack, ns", "longest path, ns", "of"], lines)


def model_errors() -> str:
    """Of the area model."""
    gates = load_gates("osu018").model_dump(by_alias=True)
    coefficients = np.array([gates[part] for part in PARTS])
    lines = []
    used, held, wide = (errors_of(rows(list(keys)), coefficients) for keys in (fitted(), HELD_OUT, DIGITS))
    for name in used:
        cells = [name]
        for errors in (used[name], held.get(name, {}), wide.get(name, {})):
            sizes = np.abs(list(errors.values()))
            cells += [str(len(sizes)), f"{sizes.mean():.1%}", f"{sizes.max():.1%}"]
        lines.append(cells)
    errors_head = ["mean error", "largest"]
    head = ["block", "fitted to", *errors_head, "left out", *errors_head, "with digits", *errors_head]
    return table(head, lines)


def coefficients() -> str:
    """Gate equivalents of a part."""
    gates = load_gates("osu018").model_dump(by_alias=True)
    return table(PARTS, [[f"{gates[part]:.2f}" for part in PARTS]])


def targets() -> str:
    """mm2 of the shipped accelerators by group."""
    areas = {name: load_hardware(name).area() for name in list_targets()}
    lines = [
        [group, *(f"{found.by_group().get(group, 0.0):.4f}" for found in areas.values())]
        for group in GROUPS
        if any(found.by_group().get(group) for found in areas.values())
    ]
    lines.append(["**all**", *(f"{found.mm2:.3f}" for found in areas.values())])
    lines.append(["of it logic", *(f"{found.logic_mm2:.3f}" for found in areas.values())])
    return table(["mm2", *areas], lines)


def whole_machines() -> str:
    """Model, whole accelerators relative to 8/8/-/- at the same vector size."""
    lines = []
    for notation in FORMATS:
        cells = [notation]
        for v in SIZES:
            ratios = compared(_area((notation, v, None)), _area((BASELINE, v, None)))
            cells += [f"{ratios[part]:.2f}" for part in ("array", "logic", "all")]
        lines.append(cells)
    head = [f"V = {v}: {part}" for v in SIZES for part in ("array", "logic", "all")]
    return table(["W/A/ws/as", *head], lines)


def _area(key: Key) -> Area:
    return hardware(key).area()


def technologies() -> str:
    """vsq-accel under each table."""
    hardware, lines = load_hardware("vsq-accel"), []
    for name in list_technologies():
        found, peak = hardware.area(name), peak_of(hardware, load_technology(name))
        memories = found.by_group()["scratchpads"]
        numbers = (found.logic_mm2, memories, found.mm2, peak.tops_per_watt, peak.tops / found.mm2)
        lines.append([name, *(f"{number:.3g}" for number in numbers)])
    head = ["table", "logic, mm2", "scratchpads, mm2", "all, mm2", "TOPS/W", "TOPS/mm2"]
    return table(head, lines)


def nodes() -> str:
    """By Stillmaker and Baas."""
    return table(["node, nm", *map(str, NODES)], [["area", *(str(factor) for factor in NODES.values())]])


def figure(path: Path) -> None:
    """Stacked bars: a vector MAC by component, measured, and the logic of whole accelerators, modelled."""
    mpl.rcParams["svg.hashsalt"] = "area"
    plot, (left, right) = plt.subplots(1, 2, figsize=(12, 4.2), layout="constrained")
    bottom = np.zeros(len(FORMATS))
    for part, names in (*SPLIT.items(), ("buffers", ("buffers",))):
        heights = [
            sum(result((n, 16, None), "vector_mac")["areas"].get(i, 0.0) for i in names)
            / result((BASELINE, 16, None), "vector_mac")["area"]
            for n in FORMATS
        ]
        left.bar(FORMATS, heights, bottom=bottom, label=part)
        bottom += heights
    left.set_title("vector MAC, V = 16, synthesised; 8/8/-/- is 1")
    groups = [group for group in GROUPS if group not in ("scratchpads", "DRAM")]
    whole = _area((BASELINE, 16, None)).logic_mm2
    bottom = np.zeros(len(FORMATS))
    for group in groups:
        heights = [
            sum(r.mm2 for r in _area((n, 16, None)).rows if r.group == group and r.basis != "memory") / whole
            for n in FORMATS
        ]
        right.bar(FORMATS, heights, bottom=bottom, label=group)
        bottom += heights
    right.set_title("logic of an accelerator, V = 16, modelled; 8/8/-/- is 1")
    for axes in (left, right):
        axes.tick_params(axis="x", rotation=60)
        axes.legend(fontsize="small", loc="upper left", ncols=3)
        axes.set_ylim(0, 1.35 * axes.get_ylim()[1])
    path.parent.mkdir(exist_ok=True)
    plot.savefig(path, metadata={"Date": None})


def main() -> None:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown
    )
    tables: tuple[Callable[[], str], ...] = (
        vector_macs,
        product_bits,
        other_blocks,
        digits,
        slacks,
        model_errors,
        coefficients,
        targets,
        whole_machines,
        technologies,
        nodes,
    )
    environment.globals.update({function.__name__: function for function in tables})
    technology = load_technology("horowitz-45nm")
    text = environment.get_template("area.md.j2").render(
        period=PERIOD_NS,
        gate_um2=gate_um2(),
        technology=technology,
        held=len(HELD_OUT),
        fitted=len(fitted()),
        with_digits=len(DIGITS),
    )
    (DOCUMENTS / "area.md").write_text(text)
    figure(DOCUMENTS / "figures/area.svg")
    print(f"wrote {DOCUMENTS / 'area.md'} and its figure")


if __name__ == "__main__":
    main()
