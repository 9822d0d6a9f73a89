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
    """Name, shape and dtype of one input; of one that is an index, the smallest and the largest that there
    is; and whether it is a mask, which may be minus infinity."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    range: tuple[int, int] | None = None
    is_mask: bool = False


class ResultSpec(_Frozen):
    """Shape and dtype of one result."""

    shape: tuple[int, ...]
    dtype: str


class CpuWork(_Frozen):
    """What an operator on the CPU does in one inference: multiply-accumulates, other operations, bytes moved.

    `transform.work` says what counts as which.
    """

    macs: int
    operations: int
    bytes: int


class Placement(_Frozen):
    """Where one operator of the compiled module runs, and why; on the CPU with its work."""

    op: str
    layer: str
    where: Literal["accelerator", "cpu"]
    why: str
    work: CpuWork | None = None


class LayerInfo(_Frozen):
    """One accelerator layer: its operator, useful multiply-accumulates of one inference and its schedule.

    Channels are those of input and output; padded ones fill up vectors, blocks and groups of blocks.
    `minimum_dram_bytes` is what every schedule has to move.
    """

    program: str
    name: str
    op: str
    shape: str
    channels: tuple[int, int]
    padded_channels: tuple[int, int]
    macs: int
    minimum_dram_bytes: int
    knobs: dict[str, Any]
    tuned: bool


class ProgramInfo(_Frozen):
    """DRAM of one accelerator program in bytes: constants, micro-ops and the arena of tensors.

    Apart from each other these would take `separate_bytes`. If nothing between layers leaves the chip, any
    schedule still moves `on_chip_minimum_dram_bytes`.
    """

    name: str
    constant_bytes: int
    micro_op_bytes: int
    arena_bytes: int
    separate_bytes: int
    on_chip_minimum_dram_bytes: int


class Metadata(_Frozen):
    """Everything besides code and weights that an Executable needs after it has been loaded."""

    version: Literal[3] = 3
    hardware: HardwareConfig
    inputs: tuple[TensorSpec, ...]
    results: tuple[ResultSpec, ...] = ()
    placements: tuple[Placement, ...]
    layers: tuple[LayerInfo, ...] = ()
    programs: tuple[ProgramInfo, ...] = ()
    import_note: str = ""

    @classmethod
    def parse(cls, text: str) -> Metadata:
        """Read the JSON of an artifact; ProgramError if it is of another version or damaged."""
        return cls.checked_json(text, "artifact metadata, compile the model again")
