"""Cycles and DRAM traffic of single layers beside ZigZag (zigzag-dse); docs/simulator-comparison.md explains
the differences.

ZigZag gets an environment of its own, made under build/ at the first use.
"""

from __future__ import annotations

import argparse

from layers import SHAPES, TARGET, choose, environment, foreign, ours, print_comparison

from tvm_vsq.hardware import load_hardware

VERSION = "3.9.1"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, nargs="+", help=f"numbers from 0 to {len(SHAPES) - 1}")
    parser.add_argument(
        "--python", help="a Python that has zigzag-dse, instead of an environment under build/"
    )
    arguments = parser.parse_args()
    hardware = load_hardware(TARGET)
    # zigzag-dse imports six without requiring it.
    python = arguments.python or environment("zigzag", (f"zigzag-dse=={VERSION}", "six"))
    rows = []
    for shape in choose(arguments.layers, range(len(SHAPES))):
        rows.append((shape, ours(shape, hardware), foreign(python, "zigzag_worker.py", shape)))
    print_comparison(f"ZigZag {VERSION} (C 16 x K 16, LOMA)", rows)
    for shape, _, row in rows:
        parts = ", ".join(f"{part} {row[part + '_bytes'] / 1e3:,.0f}" for part in "IWO")
        print(
            f"ZigZag's DRAM kB, {shape.name}: {parts}; stalls {row['stalled'] - row['compute']:,.0f} cycles"
        )


if __name__ == "__main__":
    main()
