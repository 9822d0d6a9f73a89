"""Energy of an operation of units (docs/energy.md) on uniform random operands, as a technology has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
from kept import Kept
from library import SUPPLY_V, cells, gate_um2
from scipy.optimize import nnls
from switching import bench, measure
from synthesis import synthesize

from tvm_vsq.hardware.units import Adder, Multiplier, Shifter, Trial, Unit
from tvm_vsq.rtl import Block, Port

Ints = npt.NDArray[np.int64]
KIND, COUNT, WARM = "uniform", 20_000, 20

# Of equal operands, which points of a technology file are of; and those of formats: an element times another,
# a scale times another, a dot product times a product of scales.
SQUARE = (4, 6, 8, 12, 16, 24, 32)
ADDERS = (4, 6, 8, 12, 16, 24, 32, 48)
OTHER_PRODUCTS = ((4, 8), (6, 8), (6, 10), (12, 8), (16, 16), (16, 8), (20, 16), (32, 8))
TRIALS, STEPS = (4, 10), 4  # divisors, and steps of each divider
SHIFTS = ((32, 6), (48, 6))


@dataclass(frozen=True)
class Measurable:
    """A unit, a block that has `count` of them and flip-flops at most besides, and what that computes."""

    unit: Unit
    block: Block
    compute: Callable[[Mapping[str, Ints]], dict[str, Ints]]
    count: int = 1


def _adder(bits: int) -> Measurable:
    ports = Port("a", bits), Port("b", bits)
    block = Block("adder", "adder", {"WIDTH": bits}, ports, (Port("sum", bits + 1),), clocked=False)
    return Measurable(Adder(bits), block, lambda x: {"sum": x["a"] + x["b"]})


def _multiplier(a: int, b: int) -> Measurable:
    block = Block(
        "multiplier",
        "multiplier",
        {"A": a, "B": b},
        (Port("a", a), Port("b", b), Port("b_unsigned", 1)),
        (Port("product", a + b),),
        clocked=False,
    )
    return Measurable(Multiplier(a, b), block, lambda x: {"product": x["a"] * x["b"]})


def _shifter(bits: int, levels: int) -> Measurable:
    block = Block(
        "round_shift",
        "round_shift",
        {"WIDTH": bits},
        (Port("n", bits), Port("shift", levels)),
        (Port("floor", bits), Port("half", 1)),
        clocked=False,
    )

    def compute(x: Mapping[str, Ints]) -> dict[str, Ints]:
        shift = x["shift"] & ((1 << levels) - 1)
        doubled = (x["n"] << 1) >> shift
        return {"floor": doubled >> 1, "half": doubled & 1}

    return Measurable(Shifter(bits, levels), block, compute)


def _trial(bits: int) -> Measurable:
    block = Block(
        "divider",
        "divider",
        {"BITS": STEPS, "DIVISOR": bits, "CYCLES": 1},
        (Port("dividend", STEPS + bits), Port("divisor", bits)),
        (Port("quotient", STEPS, delay=1),),
    )
    return Measurable(
        Trial(bits + 1), block, lambda x: {"quotient": x["dividend"] // np.maximum(x["divisor"], 1)}, STEPS
    )


UNITS = (
    *map(_adder, ADDERS),
    *(_multiplier(bits, bits) for bits in SQUARE),
    *(_multiplier(*bits) for bits in OTHER_PRODUCTS if bits[0] != bits[1]),
    *(_shifter(*sizes) for sizes in SHIFTS),
    *map(_trial, TRIALS),
)


def operands(measurable: Measurable) -> dict[str, Ints]:
    """Every bit of every operand changes half the time; a divider's dividend is as small as it has to be."""
    rng = np.random.default_rng(0)
    inputs = {
        port.name: rng.integers(-(1 << (port.bits - 1)), 1 << (port.bits - 1), (COUNT, 1))
        for port in measurable.block.inputs
    }
    if "b_unsigned" in inputs:
        inputs["b_unsigned"][:] = 0
    if "divisor" in inputs:
        inputs["divisor"] = rng.integers(1, 1 << measurable.block.parameters["DIVISOR"], (COUNT, 1))
        inputs["dividend"] = rng.integers(0, inputs["divisor"] << STEPS)
    return inputs


def measure_unit(kept: Kept, measurable: Measurable) -> None:
    """If it is not there."""
    block = measurable.block
    if kept.of(block, KIND) is not None:
        return
    with TemporaryDirectory() as name:
        folder = Path(name)
        netlist = synthesize(block, folder).netlist
        inputs = operands(measurable)
        wanted = measurable.compute(inputs)
        results = {port: (numbers, np.ones(numbers.shape, np.bool_)) for port, numbers in wanted.items()}
        found = measure(bench(block, netlist, WARM, folder, 2_000), inputs, results)
        size = {"leakage_nw": netlist.leakage_nw, "gates": netlist.area / gate_um2()}
        kept.keep(block, KIND, {**asdict(found), **size})
    print(f"{block.name} {dict(block.parameters)}: {found}", flush=True)


def operation_pj(kept: Kept, measurable: Measurable) -> tuple[float, float]:
    """Of one unit, without and with delays: its logic."""
    record = kept.of(measurable.block, KIND)
    if record is None:
        raise RuntimeError(f"{measurable.unit} was not measured")
    zero, delayed = (
        sum(pj for part, pj in record[key].items() if part not in ("registers", "clock"))
        for key in ("zero_pj", "delayed_pj")
    )
    return zero / measurable.count, delayed / measurable.count


def parts_pj(kept: Kept) -> dict[str, tuple[float, float]]:
    """pJ of an operation of each part of `Gates`, without and with delays, fitted to the units."""
    found: dict[str, tuple[float, float]] = {}
    for kind in (Adder, Multiplier, Shifter, Trial):
        units = [m for m in UNITS if isinstance(m.unit, kind)]
        names = [name for name in units[0].unit.parts if name != "select"]
        energies = np.array([operation_pj(kept, m) for m in units])
        counts = np.array([[m.unit.parts[name] for name in names] for m in units])
        zero, delayed = (nnls(counts / pj[:, None], np.ones(len(units)))[0].tolist() for pj in energies.T)
        found |= {name: (a, b) for name, a, b in zip(names, zero, delayed, strict=True)}
    mux, flop = cells()["MUX2X1"], cells()["DFFPOSX1"]
    # Every pin changes every other time; what it drives counts there.
    select = 0.5 * (0.5 * SUPPLY_V**2 * sum(mux.capacitance.values()) + mux.energy_pj["Y"])
    data = 0.5 * (0.5 * SUPPLY_V**2 * flop.capacitance["D"] + flop.energy_pj["D"] + flop.energy_pj["Q"])
    return found | {
        "select": (select, select),
        "register data": (data, data),
        "register clock": (flop.clock_pj,) * 2,
    }


def yaml(kept: Kept) -> str:
    """Points for a technology file, those without delays and those with."""
    lines = []
    for column, what in enumerate(("without delays", "with delays of cells: glitches count")):
        lines.append(f"# {what}")
        for key, widths, make in (
            ("integer_add", ADDERS, _adder),
            ("integer_multiply", SQUARE, lambda bits: _multiplier(bits, bits)),
        ):
            lines += [f"{key}:", "  points:"]
            for bits in widths:
                pj = operation_pj(kept, make(bits))[column]
                lines.append(f"    - {{bits: {bits}, pj: {pj:.4g}}}")
    records = [record for m in UNITS if (record := kept.of(m.block, KIND))]
    leakage = [record["leakage_nw"] / record["gates"] for record in records]
    lines.append(f"# leakage: {min(leakage):.3f} to {max(leakage):.3f} nW a gate")
    return "\n".join(lines)
