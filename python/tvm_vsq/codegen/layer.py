"""One layer of a program: its shape, schedule and data, and the DRAM tensors between layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.codegen.emit import PostOp
from tvm_vsq.codegen.forms import OWN, Form
from tvm_vsq.errors import ProgramError
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.placement.homes import Home
from tvm_vsq.schedule import Knobs, Workload


@dataclass(frozen=True)
class DramTensor:
    """An activation tensor of `pixels` x `records` vectors.

    With `channels` it is a wide tensor instead: int32 [pixels, channels], in `records` accumulator entries
    per pixel. form: of its records. home: where it lies, in vectors [..., vectors of a pixel]; None where it
    has bytes of its own.
    """

    name: str
    pixels: int
    records: int
    signed: bool
    channels: int | None = None
    form: Form = OWN
    home: Home | None = None

    @property
    def digits(self) -> int:
        """Records of a vector."""
        return self.form.digits

    @property
    def root(self) -> str:
        """The tensor whose bytes it shares; itself where it has its own."""
        return self.name if self.home is None else self.home.root

    def strides(self, n: int, rows: int, columns: int) -> tuple[int, tuple[int, ...]]:
        """First record, and distances of records along [n, rows, columns, vectors of a pixel]."""
        shape = (n, rows, columns, self.records)
        home = (self.home or Home.own(self.name, shape)).viewed(shape)
        if home is None:
            raise ProgramError(
                f"{self.name} lies in {self.root} so that no layer can take it as {list(shape)}"
            )
        return home.offset * self.digits, tuple(stride * self.digits for stride in home.strides)

    def record_bytes(self, hardware: HardwareConfig) -> int:
        """DRAM bytes of one record."""
        if self.channels is None and self.form.second:
            return hardware.second_record_bytes
        return hardware.record_bytes["out" if self.channels is None else "acc"]

    def size_bytes(self, hardware: HardwareConfig) -> int:
        """DRAM bytes of the tensor."""
        return self.pixels * self.records * self.digits * self.record_bytes(hardware)


@dataclass(frozen=True)
class Layer:
    """A layer with its data; `ScheduledLayer` adds how it is computed.

    `channels` of its input and its result are those that are no padding. `constants` are, for each constant
    operand of the workload's nest, its records: an integer array of the operand's axes and the axes of an
    entry. `inputs` are the tensors that the other operands are loaded from, `result` is the one that it
    writes, and `beside` that of the rows as numbers of 32 bits, if it stores these, too.
    """

    name: str
    op: str
    workload: Workload
    post: PostOp
    channels: tuple[int, int]
    constants: Mapping[str, npt.NDArray[np.integer[Any]]]
    inputs: Mapping[str, str]
    result: str
    beside: str | None = None

    @property
    def results(self) -> tuple[str, ...]:
        """All tensors that it writes."""
        return (self.result,) if self.beside is None else (self.result, self.beside)

    @property
    def macs(self) -> int:
        """Useful multiply-accumulates: padded channels, which only hold zeros, do not count."""
        return self.workload.macs(self.channels)


@dataclass(frozen=True)
class ScheduledLayer(Layer):
    """A layer with its schedule; tuned: whether that comes from a database."""

    knobs: Knobs = field(kw_only=True)
    tuned: bool = field(kw_only=True)

    @classmethod
    def of(cls, layer: Layer, knobs: Knobs, tuned: bool) -> ScheduledLayer:
        """`layer` with a schedule."""
        return cls(**{f.name: getattr(layer, f.name) for f in fields(Layer)}, knobs=knobs, tuned=tuned)
