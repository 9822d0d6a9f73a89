"""Cycles and DRAM traffic of single layers beside SCALE-Sim 3.0.0; docs/simulator-comparison.md explains
the differences.

SCALE-Sim gets an environment of its own (it needs NumPy before 2.4), made under build/ at the first use. It
takes up to a minute a layer; two layers run at a time.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor

from layers import SHAPES, TARGET, choose, environment, foreign, ours, print_comparison

from tvm_vsq.hardware import load_hardware

REQUIREMENTS = ("scalesim==3.0.0", "numpy<2.4")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, nargs="+", help=f"numbers from 0 to {len(SHAPES) - 1}")
    parser.add_argument("--python", help="a Python that has scalesim, instead of an environment under build/")
    arguments = parser.parse_args()
    hardware = load_hardware(TARGET)
    shapes = choose(arguments.layers, range(6))
    python = arguments.python or environment("scalesim", REQUIREMENTS)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda shape: foreign(python, "scalesim_worker.py", shape), shapes))
    costs = [ours(shape, hardware) for shape in shapes]
    print_comparison(
        "SCALE-Sim 3.0.0 (16 x 16, weight stationary)", list(zip(shapes, costs, found, strict=True))
    )
    for shape, row in zip(shapes, found, strict=True):
        parts = ", ".join(
            f"{part} {row[part + '_bytes'] / 1e3:,.0f}" for part in ("ifmap", "filter", "ofmap")
        )
        print(f"SCALE-Sim's DRAM kB, {shape.name}: {parts}")


if __name__ == "__main__":
    main()
