"""Fits the area of each part of `Gates` to what benchmarks/rtl/areas.py synthesised, and says how far off it is.

    python benchmarks/rtl/fit.py            # prints
    python benchmarks/rtl/fit.py --write    # and writes target_configs/technology/gates/osu018.yaml

The model is the list of components (python/tvm_vsq/hardware/components): parts times coefficients, none negative.
Relative errors are made small, so that a large block counts no more than a small one.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from areas import BLOCKS, identity, measured
from configurations import HELD_OUT, Key, fitted, hardware
from library import cells, gate_um2
from rich.console import Console
from rich.table import Table
from scipy.optimize import nnls

from tvm_vsq.hardware import components
from tvm_vsq.hardware.gates import PARTS
from tvm_vsq.rtl import blocks

OUTPUT = Path(__file__).parents[2] / "target_configs/technology/gates/osu018.yaml"


def rows(keys: list[Key]) -> dict[tuple[Key, str], tuple[np.ndarray, float]]:
    """Parts of a block and its area in gates, for each that is measured; equal blocks once."""
    results, seen, found = measured(), set(), {}
    for key in keys:
        accelerator = hardware(key)
        declared = components(accelerator)
        for name in BLOCKS:
            own = identity(blocks(accelerator)[name])
            if own not in results or own in seen:
                continue
            seen.add(own)
            lanes = accelerator.output_lanes if name in ("vector_mac", "ppu_lane", "vector_lane") else 1
            parts: dict[str, float] = defaultdict(float)
            for component in declared:
                if component.block == name:
                    for part, count in component.unit.parts.items():
                        parts[part] += count * component.count / lanes
            vector = np.array([parts[part] for part in PARTS])
            found[key, name] = (vector, results[own]["area"] / gate_um2())
    return found


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
    for what, data in (("fit", used), ("left out", held)):
        for name in BLOCKS:
            errors = {key: float(p @ coefficients / a - 1) for (key, block), (p, a) in data.items() if block == name}
            if not errors:
                continue
            worst = max(errors, key=lambda key: abs(errors[key]))
            mean = float(np.mean(np.abs(list(errors.values()))))
            table.add_row(f"{name} ({what})", str(len(errors)), f"{mean:.1%}", f"{errors[worst]:+.1%}", str(worst))
    Console(width=120).print(table)
    if arguments.write:
        lines = [f"{part}: {float(c):.3f}" for part, c in zip(PARTS, coefficients, strict=True)]
        print("\n".join(lines))


if __name__ == "__main__":
    main()
