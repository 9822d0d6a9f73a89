"""MiniLM with nothing in fp32 between embeddings and the last layer norm: what each part of that costs.

    make .venv/accuracy.stamp && .venv/bin/python benchmarks/accuracy/integers.py

Writes docs/accuracy-integers.md. Rows that build/accuracy holds, measured with the same data and sources,
are not measured again.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

sys.path.append(str(Path(__file__).resolve().parents[2] / "examples/efficientnet_photos"))  # data
import minilm
from evaluate import Evaluator, Result
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from metrics import sqnr_db
from report import revision
from rows import Row

from tvm_vsq import HardwareConfig, QuantConfig, Rule

ROOT = Path(__file__).resolve().parents[2]
NORMS, SOFTMAX, PRODUCTS = "layer_norm*", "softmax*", "matmul*"
FP32_REST = {"4/8/6/10": (-0.4, 1.9, 1.9), "4/4/4/4": (-2.6, 0.8, -0.1), "8/8/-/-": (-0.6, 1.9, 1.3)}
"""What docs/accuracy.md has of sentiment, Lee50 and SimLex, with all but linear layers in fp32."""


@dataclass(frozen=True)
class PartRow(Row):
    """What is left in fp32, and in what formats the products of two activations are."""

    what: str = "all in integers"
    fp32: tuple[str, ...] = ()
    products: str = ""
    passes: int = 2
    residuals: Literal["auto", "vectors", "wide"] = "auto"

    @property
    def config(self) -> QuantConfig:
        rules = [Rule(layers=layers, fp32=True) for layers in self.fp32]
        if self.products:
            rules.append(Rule(layers=PRODUCTS, formats=self.products))
        return super().config.model_copy(update={"rules": tuple(rules), "residuals": self.residuals})

    @property
    def hardware(self) -> HardwareConfig:
        return super().hardware.model_copy(update={"precision_passes": self.passes})


def rows(formats: str) -> list[PartRow]:
    wide = "8/8/4/4" if formats == "4/4/4/4" else ""
    found = [PartRow(formats, what="all in integers, no passes", passes=1)]
    if formats == "8/8/-/-":
        what = "the same, what is added to sums in 32 bits"
        return [*found, PartRow(formats, what=what, passes=1, residuals="wide")]
    if wide:
        what = "the same, what is added to sums in vectors"
        found.append(PartRow(formats, what=what, passes=1, residuals="vectors"))
        what = f"all in integers, products of two activations in {wide}"
        found.append(PartRow(formats, what=what, products=wide))
    else:
        found.append(PartRow(formats, what="all in integers, second operands in two passes"))
    parts = {"softmax": (SOFTMAX,), "layer norm": (NORMS,), "products of two activations": (PRODUCTS,)}
    for name, layers in parts.items():
        # what softmax reads and gives are rows of those products
        fp32 = (*layers, SOFTMAX) if PRODUCTS in layers else layers
        found.append(PartRow(formats, what=f"{name} in fp32", fp32=fp32))
    found.append(PartRow(formats, what="all three in fp32", fp32=(NORMS, SOFTMAX, PRODUCTS)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=800, help="reviews")
    parser.add_argument("--simulated", type=int, default=6, help="sequences that go through the simulator")
    parser.add_argument("--formats", nargs="+", default=list(FP32_REST))
    parser.add_argument("--rows", type=int, help="only the first rows of each format")
    parser.add_argument("--kept", type=Path, default=ROOT / "build/accuracy/integers")
    parser.add_argument("--output", type=Path, default=ROOT / "docs/accuracy-integers.md")
    arguments = parser.parse_args()
    network = replace(minilm.load(arguments.samples), left_in_fp32=())
    evaluator = Evaluator(network, arguments.kept, arguments.simulated)
    fp32 = evaluator.fp32()
    results: dict[PartRow, Result] = {}
    for formats in arguments.formats:
        for row in rows(formats)[: arguments.rows]:
            begin = time.perf_counter()
            in_simulator = not row.fp32
            results[row] = evaluator.quantized(row, in_simulator)
            print(formats, row.what, *changes(network, fp32, results[row]), sqnr(fp32, results[row]), end=" ")
            print(results[row].simulated or "", f"{time.perf_counter() - begin:.0f} s", flush=True)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown
    )
    template = environment.get_template("accuracy-integers.md.j2")
    lines = {
        row: [row.what, *changes(network, fp32, result), sqnr(fp32, result)]
        for row, result in results.items()
    }
    arguments.output.write_text(
        template.render(
            network=network,
            lines=lines,
            results=results,
            before=FP32_REST,
            revision=revision(),
            sequences=len(network.inputs[0]),
        )
    )
    print(f"wrote {arguments.output}")


def changes(network: minilm.Network, fp32: Result, result: Result) -> list[str]:
    """Of each figure, what is gained against fp32, with the standard error of paired samples."""
    found = []
    for metric in network.metrics:
        difference = metric.estimate(result.outputs).minus(metric.estimate(fp32.outputs))
        found.append(f"{difference.value:+.1f} ± {difference.error:.1f}")
    return found


def sqnr(fp32: Result, result: Result) -> str:
    """Of the sentences' vectors, in dB."""
    return f"{sqnr_db(result.outputs, fp32.outputs):.1f}"


if __name__ == "__main__":
    main()
