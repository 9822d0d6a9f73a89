"""Accuracy of quantized networks on real data: measures every row, then writes docs/accuracy.md.

    make bench-accuracy

Rows that build/accuracy already holds, measured with the same data and sources, are not measured again.
Sampling and shuffling are seeded, and the order of rows is fixed.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path

# The network, its pixels, and the packages of all data.
sys.path.append(str(Path(__file__).resolve().parents[2] / "examples/efficientnet_photos"))
from evaluate import Evaluator
from report import Measured, write
from rows import all_rows, in_simulator

ROOT = Path(__file__).resolve().parents[2]
NETWORKS = ("resnet8", "efficientnet", "minilm")
DOCUMENT = ROOT / "docs/accuracy.md"
KEPT = ROOT / "build/accuracy/rows"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--samples", type=int, help="samples of each network (default: as in the document)")
    parser.add_argument(
        "--simulated", type=int, default=20, help="samples that also go through the simulator"
    )
    parser.add_argument("--rows", type=int, help="only the first rows of the tables")
    parser.add_argument("--kept", type=Path, default=KEPT, help="where measured rows are kept")
    parser.add_argument("--output", type=Path, default=DOCUMENT)
    arguments = parser.parse_args()
    measured = [measure(name, arguments) for name in arguments.networks]
    write(measured, arguments.output)
    print(f"wrote {arguments.output}")


def measure(name: str, arguments: argparse.Namespace) -> Measured:
    """Every row of one network, with a line of progress for each."""
    module = importlib.import_module(name)
    network = module.load() if arguments.samples is None else module.load(arguments.samples)
    evaluator = Evaluator(network, arguments.kept, arguments.simulated)
    rows = all_rows()[: arguments.rows]
    fp32 = evaluator.fp32()
    results = {}
    for index, row in enumerate(rows, 1):
        begin = time.perf_counter()
        results[row] = evaluator.quantized(row, row in in_simulator())
        value = network.metrics[0].estimate(results[row].outputs).value
        what = f"{row.formats} V={row.vector_size} {row.settings}"
        seconds = time.perf_counter() - begin
        print(f"{network.name} {index}/{len(rows)}  {what:50}  {value:5.1f}  {seconds:4.0f} s", flush=True)
    return Measured(network, fp32, results)


if __name__ == "__main__":
    main()
