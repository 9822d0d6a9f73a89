"""What an artifact knows about itself, stored as JSON inside it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from tvm_vsq.errors import ProgramError
from tvm_vsq.hardware import HardwareConfig


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


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

    @classmethod
    def parse(cls, text: str) -> Metadata:
        """Read the JSON of an artifact; ProgramError if it is of another version or damaged."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ProgramError(
                f"artifact metadata: {where}: {first['msg']}; compile the model again"
            ) from None
