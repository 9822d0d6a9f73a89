"""What quantization does to each layer: a table, JSON and a plot."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import nan
from typing import Any

from tvm_vsq.files import PLOTS, replacing
from tvm_vsq.terminal import Column, Kind, Printed, Table


@dataclass(frozen=True)
class OperandReport:
    """A layer's weights, or the activations that it reads.

    sqnr_db: signal over error, in dB, of the quantized values against those of the fp32 network (for
        activations this includes the error of all layers before).
    bits_per_element: storage of vectors with their scales, padding included, over the elements that mean
        something; weights' coarse scales (32 bits for each output channel) included.
    clipped: fraction of elements whose magnitude exceeds what their vector can hold by more than rounding.
    codes: how often each element code occurs, from the lowest code up.
    lowest_code: the code that the first of them counts.
    """

    sqnr_db: float
    bits_per_element: float
    clipped: float
    codes: list[int]
    lowest_code: int


@dataclass(frozen=True)
class LayerReport:
    """One quantized layer.

    weights: None if it has none. padding: fraction of the lanes of its input vectors that no channel fills.
    output_sqnr_db: of the result with its epilogue, in real values before it is stored as vectors, against
    the fp32 network.
    """

    name: str
    formats: str
    vector_size: int
    padding: float
    weights: OperandReport | None
    activations: OperandReport
    output_sqnr_db: float


@dataclass(frozen=True, repr=False)
class QuantReport(Printed):
    """All layers in program order; `fp32` names those that are not quantized, with the reason.

    output_sqnr_db: of the network's results. samples: runs of the network that were looked at.
    """

    layers: tuple[LayerReport, ...]
    fp32: dict[str, str]
    output_sqnr_db: float
    samples: int

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries and lists."""
        return asdict(self)

    def to_json(self) -> str:
        """`to_dict` as JSON; an infinite ratio (no error at all) becomes null."""
        return json.dumps(_finite(self.to_dict()), indent=2)

    @property
    def summary(self) -> str:
        """How far the network's results are from fp32."""
        fp32 = f", {len(self.fp32)} in fp32" if self.fp32 else ""
        return (
            f"{len(self.layers)} layers quantized{fp32}; results {self.output_sqnr_db:.1f} dB over "
            f"{self.samples} runs"
        )

    def _parts(self, wide: bool) -> Iterator[Table | str]:
        columns = (
            Column("layer", kind=Kind.NAME),
            Column("W/A/ws/as", 2, Kind.WORD),
            Column("V", 6),
            Column("padding", 5),
            Column("weights", 1),
            Column("bits/w", 4),
            Column("w clipped", 3),
            Column("input", 1),
            Column("bits/a", 4),
            Column("a clipped", 3),
            Column("output"),
        )
        rows = []
        for layer in self.layers:
            w, a = layer.weights, layer.activations
            of_weights = (
                ("-", "-", "-")
                if w is None
                else (f"{w.sqnr_db:.1f}", f"{w.bits_per_element:.2f}", f"{w.clipped:.2%}")
            )
            rows.append(
                (
                    layer.name,
                    layer.formats,
                    str(layer.vector_size),
                    f"{layer.padding:.0%}",
                    *of_weights,
                    f"{a.sqnr_db:.1f}",
                    f"{a.bits_per_element:.2f}",
                    f"{a.clipped:.2%}",
                    f"{layer.output_sqnr_db:.1f}",
                )
            )
        yield Table("SQNR in dB against fp32", columns, rows)
        yield f"network: {self.output_sqnr_db:.1f} dB over {self.samples} runs"
        yield from (f"fp32: {name}: {why}" for name, why in self.fp32.items())

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Write SQNR by layer, clipping and the use of codes as an image (.png, .svg, .pdf by suffix).

        Raises InputError if the file cannot be written.
        """
        from matplotlib.figure import Figure

        names = [layer.name for layer in self.layers]
        at, weights = range(len(names)), [layer.weights for layer in self.layers]
        figure = Figure(figsize=(max(7.0, 0.32 * len(names) + 3), 10), layout="constrained")
        ratio, clipping, codes = figure.subplots(3, 1)
        for values, label in (
            ([nan if w is None else w.sqnr_db for w in weights], "weights"),
            ([layer.activations.sqnr_db for layer in self.layers], "input"),
            ([layer.output_sqnr_db for layer in self.layers], "output"),
        ):
            ratio.plot(at, values, "o-", label=label)
        ratio.set(ylabel="SQNR (dB)", xticks=list(at), title=f"network: {self.output_sqnr_db:.1f} dB")
        ratio.set_xticklabels([])
        ratio.legend()
        for offset, side in ((-0.2, "weights"), (0.2, "activations")):
            operands = (getattr(layer, side) for layer in self.layers)
            shares = [nan if operand is None else 100 * operand.clipped for operand in operands]
            clipping.bar([x + offset for x in at], shares, 0.4, label=side)
        clipping.set(ylabel="clipped (%)", xticks=list(at))
        clipping.set_xticklabels(names, rotation=90, fontsize=7)
        clipping.legend()
        for operand in filter(None, weights):
            total = sum(operand.codes) or 1
            used = [count / total for count in operand.codes]
            codes.plot(range(operand.lowest_code, operand.lowest_code + len(used)), used, alpha=0.5)
        codes.set(xlabel="weight code, a line for each layer", ylabel="share")
        with replacing(path, *PLOTS) as draft:
            figure.savefig(draft)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and value in (float("inf"), float("-inf")) else value
