"""Writes docs/paper.md and its figure from what arrays.py and profiles.py measured.

python benchmarks/paper/report.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
from arrays import KELLER_KEYS, area, energies, ratios, vector_mac
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from kept import Kept
from machines import BASELINE, FORMATS, PRODUCT_BITS, SIZES, Key, accelerator, array
from markdown_tables import table
from matplotlib import pyplot as plt
from profiles import (
    COUNTED_WHOLE,
    NETWORKS,
    SUMS_IN_VECTORS,
    TECHNOLOGY,
    TOLERANCE,
    Counts,
    counted,
    identity,
)
from published import (
    KELLER,
    KELLER_DENSE,
    KELLER_PARTS,
    KELLER_TOPS_PER_MM2,
    KELLER_TOPS_PER_WATT,
    POINTS,
    Point,
)
from scipy.stats import spearmanr

from tvm_vsq.hardware import (
    PARTS_OF_ENERGY,
    energy_by_part,
    event_energy_pj,
    list_technologies,
    load_technology,
)
from tvm_vsq.hardware.components import GROUPS
from tvm_vsq.hardware.peak import peak_of

DOCUMENTS = Path(__file__).parents[2] / "docs"
ARRAY = ("MACs", "scale units", "accumulators")
NOT_LOGIC = ("scratchpads", "queues", "leakage")
AREAS = ("array, operands", "logic", "logic, operands", "chip")
OPERANDS = ("weight scratchpad", "input scratchpad")


@lru_cache(maxsize=1)
def kept() -> Kept:
    return Kept()


@lru_cache(maxsize=256)
def counts(network: str, key: Key) -> Counts:
    """A KeyError says that profiles.py has not run."""
    return counted()[identity(network, accelerator(key, network))]


@lru_cache(maxsize=1024)
def areas(key: Key) -> dict[str, float]:
    """mm2 of an accelerator: `array` and `logic`, with the scratchpads of their operands, and `chip`."""
    found = accelerator(key).area(TECHNOLOGY)
    rows = found.rows
    operands = sum(row.mm2 for row in rows if row.component in OPERANDS)
    in_array = sum(row.mm2 for row in rows if row.group in ARRAY)
    logic = found.logic_mm2
    return {
        "array, operands": in_array + operands,
        "logic": logic,
        "logic, operands": logic + operands,
        "chip": found.mm2,
    }


@lru_cache(maxsize=1024)
def parts(network: str, key: Key, technology: str = TECHNOLOGY) -> dict[str, float]:
    """pJ of an inference by PARTS_OF_ENERGY."""
    found, table = counts(network, key), load_technology(technology)
    return energy_by_part(found.events, accelerator(key, network), table, found.cycles, found.busy)


def scopes(network: str, key: Key, technology: str = TECHNOLOGY) -> dict[str, float]:
    """pJ of the `array`, of `logic` with its clock, on `chip`, and with `DRAM`."""
    found = parts(network, key, technology)
    chip = {part: pj for part, pj in found.items() if "DRAM" not in part}
    return {
        "array": sum(found[part] for part in ARRAY),
        "logic": sum(pj for part, pj in chip.items() if part not in NOT_LOGIC),
        "chip": sum(chip.values()),
        "DRAM": sum(found.values()),
    }


def base(key: Key) -> Key:
    """8/8/-/- of the same vector size."""
    return BASELINE, key[1], None


def slower(network: str, key: Key) -> float:
    """Cycles over those of the baseline."""
    return counts(network, key).cycles / counts(network, base(key)).cycles


def area_ratio(network: str, key: Key, scope: str) -> float:
    """At equal throughput: of as many of them as do the baseline's work in its time."""
    return areas(key)[scope] / areas(base(key))[scope] * slower(network, key)


def energy_ratio(network: str, key: Key, scope: str, technology: str = TECHNOLOGY) -> float:
    return scopes(network, key, technology)[scope] / scopes(network, base(key), technology)[scope]


def under_all_tables(network: str, key: Key, scope: str) -> str:
    """The interval of a ratio of energies."""
    found = [energy_ratio(network, key, scope, technology) for technology in list_technologies()]
    return f"{min(found):.2f} .. {max(found):.2f}"


def mac_area(notation: str, product_bits: int | None = None) -> str:
    """Of a synthesised MAC at V = 16."""
    key = (notation, 16, product_bits)
    return f"{area(key) / area(base(key)):.2f}"


def mac_energy(notation: str, kind: str) -> str:
    return interval(ratios(kept(), (notation, 16, None), kind))


def cycles(network: str, size: int) -> str:
    """Millions, of the baseline."""
    return f"{counts(network, (BASELINE, size, None)).cycles / 1e6:.1f}"


def checked() -> str:
    """The cases in which profiles.py compiles all layers."""
    return " and of ".join(f"{name} at {key[0]}, V = {key[1]}," for name, key in COUNTED_WHOLE)


def accumulators_mm2() -> str:
    """Of the scratchpad, and of the chip."""
    found = accelerator((BASELINE, 16, None)).area(TECHNOLOGY)
    own = sum(row.mm2 for row in found.rows if row.component == "accumulator scratchpad")
    return f"{own:.1f} of {found.mm2:.1f}"


def accelerator_area(network: str, notation: str, scope: str, product_bits: int | None = None) -> str:
    return f"{area_ratio(network, (notation, 16, product_bits), scope):.2f}"


def accelerator_energy(network: str, notation: str, scope: str, product_bits: int | None = None) -> str:
    return f"{energy_ratio(network, (notation, 16, product_bits), scope):.2f}"


def interval(found: Iterable[float]) -> str:
    """`-` if there is nothing."""
    return " .. ".join(f"{value:.2f}" for value in found) or "-"


def named(key: Key) -> list[str]:
    """Format and P."""
    return [key[0], str(array(key).product_bits or "-")]


def arrays_table() -> str:
    """Synthesised vector MACs, whole and rounded products of scales."""
    lines = []
    for notation in FORMATS:
        for p in (*PRODUCT_BITS.get(notation, ()), None):
            cells = named((notation, 16, p))
            for size in SIZES:
                key = (notation, size, p)
                ratio = area(key) / area(base(key))
                energy = ratios(kept(), key, "uniform")
                cells += [f"{ratio:.2f}", interval(energy), interval(ratio * each for each in energy)]
            lines.append(cells)
    head = [f"V = {size}: {what}" for size in SIZES for what in ("area", "energy", "area x energy")]
    return table(["W/A/ws/as", "P", *head], lines, 2)


def laplace_table() -> str:
    """Energy on quantized Laplace operands."""
    lines = []
    for notation in FORMATS:
        for p in (*PRODUCT_BITS.get(notation, ()), None):
            cells = [interval(ratios(kept(), (notation, size, p), "laplace")) for size in SIZES]
            lines.append([*named((notation, 16, p)), *cells])
    return table(["W/A/ws/as", "P", *(f"V = {size}" for size in SIZES)], lines, 2)


def machines_table(network: str) -> str:
    """Whole accelerators on a network."""
    lines = []
    for size in SIZES:
        for notation in FORMATS:
            key = (notation, size, None)
            space = {scope: area_ratio(network, key, scope) for scope in AREAS}
            energy = {scope: energy_ratio(network, key, scope) for scope in ("logic", "chip", "DRAM")}
            products = (
                space["logic"] * energy["logic"],
                space["chip"] * energy["chip"],
                space["chip"] * energy["DRAM"],
            )
            numbers = [slower(network, key), *space.values(), *energy.values()]
            lines.append(
                [
                    str(size),
                    notation,
                    *(f"{number:.2f}" for number in numbers),
                    under_all_tables(network, key, "DRAM"),
                    *(f"{number:.2f}" for number in products),
                ]
            )
    head = ["cycles", *(f"area: {scope}" for scope in AREAS), "energy: logic", "chip", "with DRAM"]
    head += ["all tables", "area x energy: logic", "chip", "with DRAM"]
    return table(["V", "W/A/ws/as", *head], lines, 2)


def sums_table(network: str) -> str:
    """What it costs to keep in 32 bits what is added to rows, where activations have fewer than 8."""
    base_pj = sum(parts(network, (BASELINE, 16, None)).values())
    base_cycles = counts(network, (BASELINE, 16, None)).cycles
    lines = []
    for notation in FORMATS:
        cells, key = [notation], (notation, 16, None)
        for name in (network, SUMS_IN_VECTORS):
            found = counts(name, key)
            mb = sum(found.events[f"dram_{way}_bytes"] for way in ("read", "write")) / 1e6
            energy = sum(parts(name, key).values()) / base_pj
            cells += [f"{found.cycles / base_cycles:.2f}", f"{mb:.0f}", f"{energy:.2f}"]
        lines.append(cells)
    ways = ("as counted above", "in vectors")
    head = [f"{way}: {what}" for way in ways for what in ("cycles", "DRAM, MB", "energy with DRAM")]
    return table(["W/A/ws/as", *head], lines)


def product_bits_table() -> str:
    """What P is worth on whole accelerators."""
    lines = []
    for notation, kept_bits in PRODUCT_BITS.items():
        for p in (*kept_bits, None):
            cells = [*named((notation, 16, p)), str(accelerator((notation, 16, p)).accumulator_bits)]
            for size in SIZES:
                key = (notation, size, p)
                cells += [f"{area_ratio('ResNet-50', key, scope):.2f}" for scope in ("logic", "chip")]
                cells += [f"{energy_ratio('ResNet-50', key, scope):.2f}" for scope in ("logic", "chip")]
            lines.append(cells)
    columns = ("area: logic", "chip", "energy: logic", "chip")
    head = [f"V = {size}: {columns[0]}" if i == 0 else columns[i] for size in SIZES for i in range(4)]
    return table(["W/A/ws/as", "P", "accumulator", *head], lines, 2)


def published_table() -> str:
    """VS-Quant's points beside ours."""
    lines = []
    for point in POINTS:
        key = point.key
        cells = [f"{point.figure}{': ' + point.network if point.network else ''}", *named(key)]
        cells += [f"{point.energy:.2f}"]
        cells += [interval(ratios(kept(), key, kind)) for kind in ("uniform", "laplace")]
        whole = [energy_ratio(point.network, key, scope) for scope in ("logic", "chip") if point.network]
        cells += [f"{number:.2f}" for number in whole] or ["-", "-"]
        cells += [f"{point.area:.2f}" if point.area else "-", f"{area(key) / area(base(key)):.2f}"]
        cells += [f"{area_ratio(point.network, key, each):.2f}" if point.network else "-" for each in AREAS]
        lines.append(cells)
    head = ["energy, published", "MAC, uniform", "MAC, laplace", "logic", "chip"]
    head += ["area, published", "MAC", *AREAS]
    return table(["figure", "W/A/ws/as", "P", *head], lines, 3)


def agreement() -> str:
    """Differences of ours from what was published, and whether both order formats alike."""

    def row(what: str, mine: Callable[[Point], float], its: Callable[[Point], float | None]) -> list[str]:
        pairs = [(mine(point), theirs) for point in POINTS if point.network and (theirs := its(point))]
        ours, theirs = np.array(pairs).T
        rank = spearmanr(ours, theirs).statistic
        difference = ours - theirs
        return [
            what,
            str(len(pairs)),
            f"{rank:.2f}",
            f"{difference.mean():+.2f}",
            f"{np.abs(difference).mean():.2f}",
        ]

    def energy(scope: str) -> Callable[[Point], float]:
        return lambda point: energy_ratio(point.network, point.key, scope)

    def mac(kind: str, way: int) -> Callable[[Point], float]:
        return lambda point: ratios(kept(), point.key, kind)[way]

    def space(scope: str) -> Callable[[Point], float]:
        return lambda point: area_ratio(point.network, point.key, scope)

    def published(point: Point) -> float:
        return point.energy

    def published_area(point: Point) -> float | None:
        return point.area

    lines = [
        row("energy: MAC, uniform, without delays", mac("uniform", 0), published),
        row("energy: MAC, uniform, with delays", mac("uniform", 1), published),
        row("energy: MAC, laplace, with delays", mac("laplace", 1), published),
        row("energy: logic", energy("logic"), published),
        row("energy: chip", energy("chip"), published),
        row("area: MAC", lambda point: area(point.key) / area(base(point.key)), published_area),
        *(row(f"area: {scope}", space(scope), published_area) for scope in AREAS),
    ]
    return table(["ours against published", "points", "rank", "mean difference", "mean size of it"], lines)


def keller_table() -> str:
    """Energy of a MAC, the whole and by part, beside the chip of Keller et al."""
    first = next(key for key in KELLER_KEYS if key[0] == "4/4/-/-")
    mine = {key: energies(kept(), key, "sparse")[0] for key in KELLER_KEYS}
    lines = []
    for key in KELLER_KEYS:
        theirs = KELLER[key[0]]
        modelled = []
        for technology in (TECHNOLOGY, "jouppi-7nm"):
            watts = [peak_of(array(k), load_technology(technology)).tops_per_watt for k in (first, key)]
            modelled.append(f"{watts[0] / watts[1]:.2f}")
        lines.append(
            [
                *named(key),
                f"{theirs[0]:.2f}",
                f"{mine[key] / mine[first]:.2f}",
                f"{area(key) / area(first):.2f}",
                f"{sum(theirs) / sum(KELLER[first[0]]):.2f}",
                *modelled,
            ]
        )
    head = ["datapath, published", "vector MAC, gates", "its area", "whole, published"]
    head += [f"array and scratchpads, {name}" for name in (TECHNOLOGY, "jouppi-7nm")]
    return table(["format", "P", *head], lines, 2)


def keller_parts() -> str:
    """Table II."""
    lines = [[n, *(f"{x:.2f}" for x in found), f"{sum(found):.2f}"] for n, found in KELLER.items()]
    return table(["format", *KELLER_PARTS, "all"], lines)


def keller_absolute() -> str:
    """TOPS/W and TOPS/mm2: different nodes, voltages and activity."""
    lines, technology = [], load_technology("jouppi-7nm")
    for key in KELLER_KEYS:
        hardware, notation = array(key), key[0]
        peak, space = peak_of(hardware, technology), hardware.area(technology)
        once = {"macs": 1.0, "scale_macs": 1 / key[1], "scale_products": 1 / key[1]}
        mac = sum(once.get(event, 0.0) * pj for event, pj in event_energy_pj(hardware, technology).items())
        watts = (KELLER_TOPS_PER_WATT[notation], KELLER_DENSE[notation], 2 / mac, peak.tops_per_watt)
        cells = [f"{number:.1f}" for number in watts]
        cells += [f"{KELLER_TOPS_PER_MM2[notation]:.1f}"]
        cells += [f"{peak.tops / space.logic_mm2:.1f}", f"{peak.tops / space.mm2:.1f}"]
        lines.append([*named(key), *cells])
    head = ["TOPS/W, 0.46 V, half zero", "0.67 V, dense", "ours: array", "array and scratchpads"]
    head += ["TOPS/mm2, 1.05 V", "ours: logic", "chip"]
    return table(["format", "P", *head], lines, 2)


def operand_bits() -> str:
    """That an accelerator of Keller's size reads and writes in scratchpads for a MAC, at most."""
    hardware = array(KELLER_KEYS[-1])
    entries = hardware.entry_bits
    bits = entries["wgt"] + entries["inp"] + 2 * entries["acc"]
    return f"{bits / hardware.macs_per_cycle:.1f}"


def clock_share(notation: str) -> str:
    """The clock's part of a MAC's energy on sparse operands."""
    key = next(key for key in KELLER_KEYS if key[0] == notation)
    record = kept().of(vector_mac(key), "sparse")
    if record is None:
        raise KeyError(f"arrays.py has not measured {notation}")
    return f"{record['zero_pj']['clock'] / sum(record['zero_pj'].values()):.0%}"


def breakdown(network: str) -> str:
    """Shares of energy by part."""
    keys: list[Key] = [(notation, 16, None) for notation in FORMATS]
    found = {key: parts(network, key) for key in keys}
    whole = sum(found[base(keys[0])].values())
    lines = [
        [part, *(f"{found[key][part] / whole:.3f}" for key in keys)]
        for part in PARTS_OF_ENERGY
        if any(found[key][part] > 0 for key in keys)
    ]
    lines.append(["all", *(f"{sum(found[key].values()) / whole:.3f}" for key in keys)])
    return table([network, *FORMATS], lines)


def area_breakdown() -> str:
    """Shares of area by group, scratchpads one by one."""
    whole = accelerator((BASELINE, 16, None)).area(TECHNOLOGY).mm2
    columns = []
    for notation in FORMATS:
        shares: dict[str, float] = {}
        for row in accelerator((notation, 16, None)).area(TECHNOLOGY).rows:
            part = row.component if row.group == "scratchpads" else row.group
            shares[part] = shares.get(part, 0.0) + row.mm2 / whole
        columns.append(shares)
    names = list(dict.fromkeys(name for shares in columns for name in shares))
    lines = [[name, *(f"{shares.get(name, 0.0):.4f}" for shares in columns)] for name in names]
    lines.append(["all", *(f"{sum(shares.values()):.4f}" for shares in columns)])
    return table(["V = 16", *FORMATS], lines)


def figure(path: Path) -> None:
    """Stacked bars of whole accelerators at V = 16 by group: area, and energy on two networks."""
    mpl.rcParams["svg.hashsalt"] = "paper"
    keys: list[Key] = [(notation, 16, None) for notation in FORMATS]
    plot, (left, middle, right) = plt.subplots(1, 3, figsize=(16, 4.8), layout="constrained")
    space = [accelerator(key).area(TECHNOLOGY) for key in keys]
    whole = accelerator((BASELINE, 16, None)).area(TECHNOLOGY).mm2
    _bars(left, "area", GROUPS, [{g: mm2 / whole for g, mm2 in found.by_group().items()} for found in space])
    for axes, network in ((middle, "ResNet-50"), (right, "BERT-base")):
        all_pj = sum(parts(network, (BASELINE, 16, None)).values())
        shares = [{part: pj / all_pj for part, pj in parts(network, key).items()} for key in keys]
        _bars(axes, f"energy, {network}", PARTS_OF_ENERGY, shares)
    path.parent.mkdir(exist_ok=True)
    plot.savefig(path, metadata={"Date": None})


def _bars(axes: plt.Axes, title: str, names: Iterable[str], found: list[dict[str, float]]) -> None:
    bottom = np.zeros(len(FORMATS))
    for color, name in enumerate(names):
        heights = np.array([shares.get(name, 0.0) for shares in found])
        if heights.max() > 0.005:
            axes.bar(FORMATS, heights, bottom=bottom, label=name, color=plt.cm.tab20(color))
        bottom += heights
    axes.set_title(f"{title}; 8/8/-/- is 1")
    axes.tick_params(axis="x", rotation=60)
    axes.set_ylim(0, 1.45 * bottom.max())
    axes.legend(fontsize="small", ncols=3, loc="upper left")


def main() -> None:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown
    )
    functions: tuple[Callable[..., str], ...] = (
        arrays_table,
        laplace_table,
        machines_table,
        sums_table,
        product_bits_table,
        published_table,
        agreement,
        keller_table,
        keller_parts,
        keller_absolute,
        breakdown,
        area_breakdown,
        mac_area,
        mac_energy,
        accelerator_area,
        accelerator_energy,
        operand_bits,
        cycles,
        checked,
        accumulators_mm2,
        clock_share,
    )
    environment.globals.update({function.__name__: function for function in functions})
    text = environment.get_template("paper.md.j2").render(
        networks=NETWORKS,
        technology=TECHNOLOGY,
        tolerance=TOLERANCE,
        gate_um2=load_technology(TECHNOLOGY).logic.gate_um2,
    )
    (DOCUMENTS / "paper.md").write_text(text)
    figure(DOCUMENTS / "figures/paper.svg")
    print(f"wrote {DOCUMENTS / 'paper.md'} and its figure")


if __name__ == "__main__":
    main()
