"""Results that the PPU makes of accumulators: the dimensions and operands of every layer that ends so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from tvm import te, tirx

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.access import Axis, Count, Dim, Operand
from tvm_vsq.schedule.nest import Body, FieldLimit, LoopNest

PPU = "vsq.ppu"
ORDERS = {"k_outer": ("k", "n", "h", "w"), "hw_outer": ("n", "h", "w", "k")}


def result_dims(n: int, rows: int, columns: int, blocks: int, hardware: HardwareConfig) -> tuple[Dim, ...]:
    """Dimensions of a result [n, rows, columns] of `blocks` * output_lanes channels.

    They are n, h, w, k (groups of channels) and b (blocks of a group, of which the last one may lack some).
    """
    per_group = hardware.group_blocks
    groups = -(-blocks // per_group)
    return (
        Dim("n", n, knob="tile_n", inner=("h", "w")),
        Dim("h", rows, knob="tile_h"),
        Dim("w", columns, knob="tile_w"),
        Dim("k", groups, knob="tile_k", units=per_group, unit_title="blocks of a channel group"),
        Dim("b", per_group),
    )


def post_processed(
    dims: tuple[Dim, ...],
    inputs: tuple[Operand, ...],
    body: Body,
    hardware: HardwareConfig,
    *,
    blocks: int,
    has_residual: bool = False,
    wide: bool = False,
) -> LoopNest:
    """The nest of `body` over `inputs`, whose accumulators go through the PPU.

    dims: those of result_dims for so many `blocks`, and the reduced ones. The operands of the PPU are added:
    accumulators "acc", parameters "par", the residual "res", and requantized vectors "out", unless int32 is
    stored (`wide`).
    """
    pixels, (k, b) = tuple(Axis.along(dim) for dim in dims[:3]), dims[3:5]
    channels = (Axis.along(k), Axis.along(b))
    vectors = (*pixels, Axis.along(k), Axis(hardware.group_channels // hardware.vector_size))
    operands = [
        *inputs,
        Operand("par", "par", channels, constant=True, resident=True, title="parameters"),
        Operand("acc", "acc", (*pixels, *channels), in_dram=wide),
    ]
    if not wide:
        operands.append(Operand("out", "out", vectors))
    if has_residual:
        operands.append(Operand("res", "inp", vectors))
    return LoopNest(
        hardware,
        dims,
        tuple(operands),
        result_name="acc" if wide else "out",
        body=body,
        finish=PostProcess(),
        blocks=blocks,
        orders=ORDERS,
        limits=(FieldLimit("tile_k", "PPU", "blocks"),),
    )


@dataclass(frozen=True)
class PostProcess:
    """The PPU instruction on a whole tile; with a table, VEC and the PPU again. adds: VEC adds "other", and
    the PPU comes again where there are parameters "par2".
    """

    has_table: bool = False
    adds: bool = False

    def compute(self, nest: LoopNest, acc: Any, pads: Mapping[str, Any]) -> Any:
        """A pure call on everything that one lane of the result depends on: its whole channel group."""
        names = ("par", "par2", "tab", "res", *(("other",) if self.adds else ()))
        inside = {"acc": acc, **{name: pads[name] for name in names if name in pads}}
        wide = nest.result is nest.acc
        shape = acc.shape if wide else (*nest.result.extents, nest.hardware.vector_size + 1)

        def element(*index: Any) -> Any:
            n, y, x, k = index[:4]
            reads = []
            for name, tensor in inside.items():
                if name == "tab":
                    reads += [tensor[at] for at in corners(tensor.shape)]
                    continue
                prefix = (k,) if name in ("par", "par2") else (n, y, x, k)
                reads += [tensor[(*prefix, *rest)] for rest in _indices(tensor.shape[len(prefix) :])]
            return tirx.call_pure_extern("int32" if wide else "int16", PPU, *index[4:], *reads)

        return te.compute(shape, element, name="finish")

    def cycles(self, nest: LoopNest, tiles: Count) -> Count:
        """One for each accumulator entry, and the pipeline of each tile; three times, around a table. A sum
        of two accumulators takes two.
        """
        entries, timing = nest.existing(nest.entries["acc"]), nest.hardware.timing
        once = entries + tiles * timing.ppu_pipeline_cycles
        if self.adds:
            again = "par2" in nest.operand
            return (1 + again) * once + 2 * entries + tiles * timing.vector_pipeline_cycles
        if not self.has_table:
            return once
        return 2 * once + entries + tiles * (timing.vector_pipeline_cycles + nest.entries["tab"])


def corners(shape: Any) -> Iterator[tuple[int, ...]]:
    """The first and the last place along each axis."""
    return product(*(sorted({0, int(extent) - 1}) for extent in shape))


def _indices(shape: Any) -> Iterator[tuple[int, ...]]:
    return product(*(range(int(extent)) for extent in shape))
