"""What quantization does to each layer: a table, JSON and a plot."""

from __future__ import annotations

import os
from collections.abc import Iterator
from math import inf
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, ConfigDict, PlainSerializer

from tvm_vsq.errors import InputError, VsqError, shown
from tvm_vsq.files import parse_json, read_text
from tvm_vsq.frozen import Frozen
from tvm_vsq.terminal import Column, Kind, Printed, Table

if TYPE_CHECKING:
    from tvm_vsq.pages import Section

# JSON has no infinities: null is a ratio without any error.
_ENDS = {None: inf, "-Infinity": -inf}
_NAMES = {value: name for name, value in _ENDS.items()}
Decibels = Annotated[
    float,
    BeforeValidator(lambda value: _ENDS.get(value, value) if isinstance(value, str | None) else value),
    PlainSerializer(lambda value: _NAMES.get(value, value), when_used="json"),
]


class _Report(Frozen):
    model_config = ConfigDict(strict=False)
    refusal: ClassVar[type[VsqError]] = InputError


class OperandReport(_Report):
    """A layer's weights, or the activations that it reads.

    sqnr_db: signal over error, in dB, of the quantized values against those of the fp32 network (for
        activations this includes the error of all layers before).
    bits_per_element: storage of vectors with their scales, padding included, over the elements that mean
        something; weights' coarse scales (32 bits for each output channel) included.
    clipped: fraction of elements whose magnitude exceeds what their vector can hold by more than rounding.
    codes: how often each element code occurs, from the lowest code up.
    lowest_code: the code that the first of them counts.
    """

    sqnr_db: Decibels
    bits_per_element: float
    clipped: float
    codes: list[int]
    lowest_code: int


class LayerReport(_Report):
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
    output_sqnr_db: Decibels


class QuantReport(Printed, _Report):
    """All layers in program order; `fp32` names those that are not quantized, with the reason.

    output_sqnr_db: of the network's results. samples: runs of the network that were looked at.
    """

    layers: tuple[LayerReport, ...]
    fp32: dict[str, str]
    output_sqnr_db: Decibels
    samples: int

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries and lists."""
        return self.model_dump()

    def to_json(self) -> str:
        """`to_dict` as JSON; an infinite ratio (no error at all) becomes null."""
        return self.model_dump_json(indent=2)

    @classmethod
    def from_json(cls, path: str | os.PathLike[str]) -> QuantReport:
        """Read a file with what `to_json` returns, as `tvm-vsq report --json` prints it.

        Raises InputError, which names the file and the key, for anything else.
        """
        source = shown(str(path))
        return cls.checked(parse_json(read_text(path), source), source)

    @property
    def layer_names(self) -> tuple[str, ...]:
        """In program order."""
        return tuple(layer.name for layer in self.layers)

    def section(self) -> Section:
        """What stands in a page: `Profile.to_html(quality=...)`."""
        from tvm_vsq.study.quality import section_of

        return section_of(self)

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
        """Write SQNR, bits an element, clipping and the use of codes by layer (.png, .svg, .pdf by suffix).

        Raises InputError if the file cannot be written.
        """
        from tvm_vsq.study.plot import write_plot

        write_plot(self, path)
