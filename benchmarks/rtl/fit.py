"""Fits the area of each part of `Gates` to what areas.py synthesised, and says how far off it is.

    python benchmarks/rtl/fit.py            # prints
    python benchmarks/rtl/fit.py --write    # and writes target_configs/technology/gates/osu018.yaml

The model is the list of components (python/tvm_vsq/hardware/components): parts times coefficients, none of
them negative. Relative errors are made small, so that a large block counts no more than a small one.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from areas import BLOCKS, identity, measured
from configurations import DIGITS, HELD_OUT, Key, fitted, hardware
from library import cells, gate_um2
from rich.console import Console
from rich.table import Table
from scipy.optimize import nnls

from tvm_vsq.hardware import Component, components
from tvm_vsq.hardware.gates import PARTS
from tvm_vsq.rtl import blocks

Measured = dict[tuple[Key, str], tuple[np.ndarray, float]]

OUTPUT = Path(__file__).parents[2] / "target_configs/technology/gates/osu018.yaml"


# Blocks within vector_mac, which the fit is to meet too: instances of it, and the components that they are.
WITHIN = {
    "multiplier": (r"lane\.multiply", ("multiplier",)),
    "adder_tree": (r"tree", ("adder tree", "tree registers")),
    "accumulator": (
        r".*accumulate",
        (
            "shifter of sums, by levels",
            "accumulating adder",
            "accumulator's choice",
            "accumulator's register",
        ),
    ),
    "scale_unit": (
        r"scaled\.scale",
        ("scale multiplier", "scale rounding", "scaling multiplier", "scale registers"),
    ),
}


def rows(keys: list[Key]) -> Measured:
    """Parts of a block and its area in gates, for each that is measured; equal blocks once."""
    results, seen, found = measured(), set(), {}
    for key in keys:
        accelerator = hardware(key)
        for name in BLOCKS:
            own = identity(blocks(accelerator)[name])
            if own not in results or own in seen:
                continue
            seen.add(own)
            lanes = accelerator.output_lanes if name in ("vector_mac", "ppu_lane", "vector_lane") else 1
            members = [c for c in components(accelerator) if c.block == name]
            found[key, name] = (parts_of(members, lanes), results[own]["area"] / gate_um2())
            if name == "vector_mac":
                for part, (pattern, names) in WITHIN.items():
                    areas = [a for i, a in results[own]["areas"].items() if re.fullmatch(pattern, i)]
                    if areas:
                        vector = parts_of([c for c in members if c.name in names], lanes)
                        found[key, part] = (vector, sum(areas) / gate_um2())
    return found


def parts_of(members: Iterable[Component], lanes: int) -> np.ndarray:
    """Parts of a lane of these components, in the order of PARTS."""
    parts = dict.fromkeys(PARTS, 0.0)
    for component in members:
        for part, count in component.unit.parts.items():
            parts[part] += count * component.count / lanes
    return np.array(list(parts.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    used, held = rows(fitted()), rows(list(HELD_OUT))
    matrix = np.array([parts / area for parts, area in used.values()])
    # A flip-flop and a multiplexer are cells of the library, so they are not fitted.
    cell = {"register": "DFFPOSX1", "select": "MUX2X1"}
    known = np.array([cells()[cell[part]].area / gate_um2() if part in cell else 0.0 for part in PARTS])
    free = known == 0
    coefficients = known.copy()
    coefficients[free], _ = nnls(matrix[:, free], 1 - matrix @ known)
    print({part: round(float(c), 3) for part, c in zip(PARTS, coefficients, strict=True)})
    table = Table("block", "configurations", "mean error", "largest error", "where")
    for what, data in (("fit", used), ("left out", held), ("digits", rows(list(DIGITS)))):
        for name, errors in errors_of(data, coefficients).items():
            worst = max(errors, key=lambda key: abs(errors[key]))
            mean = float(np.mean(np.abs(list(errors.values()))))
            table.add_row(
                f"{name} ({what})", str(len(errors)), f"{mean:.1%}", f"{errors[worst]:+.1%}", str(worst)
            )
    Console(width=120).print(table)
    if arguments.write:
        OUTPUT.write_text(render(coefficients, errors_of(used, coefficients), errors_of(held, coefficients)))
        print(f"wrote {OUTPUT}")


def errors_of(data: Measured, coefficients: np.ndarray) -> dict[str, dict[Key, float]]:
    """Of the model against synthesis, by block."""
    errors: dict[str, dict[Key, float]] = {}
    for (key, block), (parts, area) in data.items():
        errors.setdefault(block, {})[key] = float(parts @ coefficients / area - 1)
    return errors


def render(
    coefficients: np.ndarray, used: dict[str, dict[Key, float]], held: dict[str, dict[Key, float]]
) -> str:
    """The file of coefficients."""

    def worst(errors: dict[str, dict[Key, float]]) -> str:
        return f"{max(abs(error) for block in errors.values() for error in block.values()):.0%}"

    counts = [sum(map(len, errors.values())) for errors in (used, held)]
    lines = [
        "# What parts of units take, in two-input NANDs of the same library: docs/area.md. Written by",
        "# `python benchmarks/rtl/fit.py --write`; register and select are cells, the rest is fitted.",
        "name: osu018",
        *(f"{part}: {float(c):.3f}" for part, c in zip(PARTS, coefficients, strict=True)),
        "source: >-",
        f"  yosys and osu018_stdcells of Debian's qflow-tech-osu018: {counts[0]} blocks of rtl/, of which",
        f"  the model is at most {worst(used)} off, and {counts[1]} left out of the fit, {worst(held)}",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
