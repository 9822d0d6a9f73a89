"""Rotation of pairs of numbers as a workload."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm_vsq.codegen.lowering import Lowering, as_pixels, output_blocks
from tvm_vsq.errors import ProgramError
from tvm_vsq.formats.rows import Rotation
from tvm_vsq.graph import is_constant, static_shape
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.rows import Rows, Turns


def _workload(call: Any, _has_other: bool, hardware: HardwareConfig) -> Rows:
    *leading, channels = static_shape(call.args[0])
    *others, size = static_shape(call.args[2])
    half = size // 2
    if half % hardware.group_channels:
        raise ProgramError(
            f"layer '{call.attrs['layer']}': halves of {half} numbers are turned, which are no whole groups "
            f"of {hardware.group_channels} channels on target '{hardware.label}'; leave the layer in fp32 "
            f"by a rule"
        )
    pixels, places = as_pixels(leading, others)
    repeated = tuple(theirs != ours for ours, theirs in zip(pixels, places, strict=True))
    turns = Turns(
        (repeated[0], repeated[1], repeated[2]), output_blocks(size, hardware), is_constant(call.args[2])
    )
    return Rows(
        *pixels,
        kb=output_blocks(channels, hardware),
        program="rotary",
        passes=6,
        reductions=0,
        tables=0,
        other=None,
        wide=bool(int(call.attrs["wide"])),
        turns=turns,
    )


def _program(attributes: Mapping[str, Any], _has_other: bool) -> Rotation:
    return Rotation()


LOWER = Lowering(_workload, rows=_program, has_tables=False, added="turns")
