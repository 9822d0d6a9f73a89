"""What an artifact knows about itself, stored as JSON inside it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict

from tvm_vsq.errors import ProgramError
from tvm_vsq.frozen import Frozen
from tvm_vsq.hardware import HardwareConfig


class _Frozen(Frozen):
    model_config = ConfigDict(strict=False)
    refusal = ProgramError


class TensorSpec(_Frozen):
    """Name, shape and dtype of one input."""

    name: str
    shape: tuple[int, ...]
    dtype: str


class Placement(_Frozen):
    """Where one operator of the compiled module runs, and why."""

    op: str
    layer: str
    where: Literal["accelerator", "cpu"]
    why: str


class LayerInfo(_Frozen):
    """One accelerator layer: its operator, useful multiply-accumulates of one inference and its schedule."""

    program: str
    name: str
    op: str
    shape: str
    macs: int
    knobs: dict[str, Any]
    tuned: bool


class Metadata(_Frozen):
    """Everything besides code and weights that an Executable needs after it has been loaded."""

    version: Literal[1] = 1
    hardware: HardwareConfig
    inputs: tuple[TensorSpec, ...]
    placements: tuple[Placement, ...]
    layers: tuple[LayerInfo, ...] = ()
    import_note: str = ""

    @classmethod
    def parse(cls, text: str) -> Metadata:
        """Read the JSON of an artifact; ProgramError if it is of another version or damaged."""
        return cls.checked_json(text, "artifact metadata, compile the model again")
