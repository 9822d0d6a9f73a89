"""What an imported graph is checked against: the model that it came from, run by somebody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy.typing as npt

from tvm_vsq.tvm_compat import IRModule

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Value:
    """A tensor inside a model: its node's name, a description for messages, and the names of its operands."""

    name: str
    what: str
    operands: tuple[str, ...]


@dataclass(frozen=True)
class Opened:
    """A model all of whose tensors are results.

    module: its import, before the canonical form; "main" takes the model's inputs and returns a tuple of
    `values`, in their order, which is the model's.
    """

    module: IRModule
    values: tuple[Value, ...]


class Source(Protocol):
    """A model that can be run beside its import."""

    @property
    def title(self) -> str:
        """The model in words: "torch module Net", "ONNX model net.onnx"."""

    @property
    def examples(self) -> tuple[Array, ...] | None:
        """The inputs that came with the model, one array each; None if there are none."""

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """The model's results, a flat list, for inputs in the order of "main".

        Raises ModelError if the model changes its results from call to call.
        """

    def opened(self) -> Opened | None:
        """The model with all its tensors as results, imported anew; None if it is Relax already."""

    def inside(self, inputs: Sequence[Array]) -> list[Array]:
        """What the model itself computes for the `values` of `opened()`, in their order."""
