"""Operands of one layer, recorded while an inference runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import tvm_ffi
from tvm import relax

from tvm_vsq.errors import InputError
from tvm_vsq.formats.table import TABLE_SEGMENTS
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.rtl.operands import UNITS, Operands
from tvm_vsq.runtime.metadata import LayerInfo


def check_request(
    layers: Sequence[LayerInfo],
    hardware: HardwareConfig,
    layer: str,
    unit: str,
    numbers: Mapping[str, int],
) -> str:
    """The program of `layer`. numbers: lane, skip and cycles.

    Raises InputError for a layer or unit that there is not, and for a number out of range.
    """
    programs = [info.program for info in layers if info.name == layer]
    if not programs:
        raise InputError(
            f"there is no layer {layer!r} on the accelerator; there are {[i.name for i in layers]}"
        )
    if len(programs) > 1:
        raise InputError(f"{len(programs)} layers are called {layer!r}; give them names of their own")
    if not isinstance(unit, str) or unit not in UNITS:
        raise InputError(f"unit={unit!r}: operands are recorded of {', '.join(UNITS)}")
    most = {"lane": hardware.output_lanes - 1 if unit != "ppu" else 0, "skip": 1 << 62, "cycles": 1_000_000}
    for name, number in numbers.items():
        least, limit = int(name == "cycles"), most[name]
        if type(number) is not int or not least <= number <= limit:
            why = "; ppu is recorded with all lanes" if (name, unit) == ("lane", "ppu") else ""
            raise InputError(f"{name}={number!r}: give an integer from {least} to {limit}{why}")
    return programs[0]


def catch_arguments(vm: relax.VirtualMachine, program: str) -> list[Any]:
    """A list that takes a copy of the tensors that `vm` calls `program` with, when it does."""
    caught: list[Any] = []

    def note(_function: Any, name: str, before: bool, _result: Any, *args: Any) -> int:
        if before and name == program:
            caught.extend(tvm_ffi.from_dlpack(arg.numpy().copy()) for arg in args)
        return 0

    vm.set_instrument(note)
    return caught


def operands_of(
    recording: Mapping[str, Any], hardware: HardwareConfig, layer: str, unit: str, lane: int, skip: int
) -> Operands:
    """What `native.record_operands` returned, column by column."""
    lanes, size = hardware.output_lanes, hardware.vector_size
    vectors = max(1, lanes // size)
    shapes: dict[str, tuple[int, ...]] = {
        **dict.fromkeys(("activations", "weights"), (size,)),
        **dict.fromkeys(("acc", "res_elements", "y", "out_elements"), (lanes,)),
        **dict.fromkeys(("res_scales", "out_scales", "stored"), (vectors,)),
        "par": (lanes, 4),
        "tables": (TABLE_SEGMENTS, 2),
    }
    kind = UNITS[unit]
    own = {field.name for field in fields(Operands)} - {"instruction"}
    found: dict[str, Any] = {}
    for field in fields(kind):
        if field.name in own:
            continue
        column = np.frombuffer(bytes(recording["columns"].get(field.name, b"")), np.int64)
        column = column.reshape(-1, *shapes.get(field.name, ()))
        found[field.name] = column.astype(np.bool_) if field.type == "Flags" else column
    return kind(layer=layer, unit=unit, lane=lane, skip=skip, cycles=int(recording["cycles"]), **found)
