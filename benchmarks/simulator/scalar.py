"""The scalar simulator (scalar_sim.cc): build it with the host's C++ compiler and call it through ctypes."""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.isa import layout_of
from tvm_vsq.isa.codec import INSTRUCTION_BYTES

_SOURCE = Path(__file__).with_name("scalar_sim.cc")


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "scalar_sim.so")
        compiler = os.environ.get("CXX", "c++")
        subprocess.run(
            [compiler, "-std=c++17", "-O2", "-shared", "-fPIC", str(_SOURCE), "-o", str(path)], check=True
        )
        return ctypes.CDLL(str(path))


def _table(hardware: HardwareConfig) -> dict[str, int]:
    """Parameters and bit positions by name: all that the scalar simulator knows of a config."""
    layout = layout_of(hardware)
    table = dict(hardware.sim_params())
    for instruction, slots in {**layout.slots, "uop": layout.uop}.items():
        for name, slot in slots.items():
            table[f"{instruction}.{name}.shift"] = slot.shift
            table[f"{instruction}.{name}.width"] = slot.width
    return table


def outputs_of(hardware: HardwareConfig, program: Mapping[str, Any]) -> list[np.ndarray]:
    """Empty outputs of `Program.to_native()`: int16 [rows, V+1], or int32 [rows, lanes] if wide."""
    return [
        np.zeros((rows, lanes), np.int32 if kind == 1 else np.int16)
        for kind, _, rows, lanes, _ in program["outputs"]
    ]


def inputs_of(
    hardware: HardwareConfig, program: Mapping[str, Any], rng: np.random.Generator
) -> list[np.ndarray]:
    """Random inputs, int16 [rows, V+1], that use every code and every scale of the format."""
    arrays = []
    for _, _, rows, lanes, signed in program["inputs"]:
        high = 2 ** (hardware.activation_bits - (1 if signed else 0)) - 1
        scale = 2 ** (hardware.activation_scale_bits or 1) - 1
        elements = rng.integers(-high if signed else 0, high + 1, (rows, lanes - 1))
        arrays.append(np.concatenate([elements, rng.integers(1, scale + 1, (rows, 1))], 1).astype(np.int16))
    return arrays


def run(
    hardware: HardwareConfig, program: Mapping[str, Any], inputs: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """The outputs of one program. RuntimeError with the simulator's message if it fails."""
    table, outputs = _table(hardware), outputs_of(hardware, program)
    names = (ctypes.c_char_p * len(table))(*(name.encode() for name in table))
    values = (ctypes.c_int64 * len(table))(*table.values())
    tensors = [np.ascontiguousarray(array) for array in inputs] + outputs
    pointers = (ctypes.c_void_p * len(tensors))(*(array.ctypes.data for array in tensors))
    rows = [number for row in (*program["inputs"], *program["outputs"]) for number in row]
    error = ctypes.create_string_buffer(256)
    failed = _library().ScalarRun(
        names,
        values,
        ctypes.c_int64(len(table)),
        program["instructions"],
        ctypes.c_int64(len(program["instructions"]) // INSTRUCTION_BYTES),
        program["image"],
        ctypes.c_int64(len(program["image"])),
        ctypes.c_int64(program["dram_bytes"]),
        pointers,
        (ctypes.c_int64 * len(rows))(*rows),
        ctypes.c_int64(len(inputs)),
        ctypes.c_int64(len(outputs)),
        error,
        ctypes.c_int64(len(error)),
    )
    if failed:
        raise RuntimeError(f"scalar simulator, program '{program['name']}': {error.value.decode()}")
    return outputs
