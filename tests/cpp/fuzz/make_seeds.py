"""Write configs.inc and the seeds of the fuzz targets: `python -m tests.cpp.fuzz.make_seeds`, from the root.

The configurations decide what the bytes of a program mean, so whoever changes one writes all seeds again.
Files in seeds/ that begin with `found-` are inputs that once failed; they stay.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tests.runtime.conftest import Conv, Program, hardware, insn, load, pack_params, store
from tests.runtime.test_functional import random_params
from tests.runtime.test_saving import saved
from tests.vectors import vectors_of
from torch import nn

import tvm_vsq
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.isa import code_of, encode_uops
from tvm_vsq.isa.codec import INSTRUCTION_BYTES

HERE = Path(__file__).resolve().parent
PADS = ("uop_kib", "inp_kib", "wgt_kib", "acc_kib", "par_kib", "out_kib")
MAX_CYCLES = 20_000  # bounds the work of one input


def _config(
    widths: tuple[int, int, int | None, int | None], pads: tuple[int, ...], **changes: Any
) -> HardwareConfig:
    names = ("weight_bits", "activation_bits", "weight_scale_bits", "activation_scale_bits")
    formats = dict(zip(names, widths, strict=True))
    return hardware(**formats, scratchpads=dict(zip(PADS, pads, strict=True)), **changes)


# W/A/ws/as, KiB of the scratchpads
CONFIGS = [
    _config((4, 4, 4, 4), (1, 1, 4, 2, 1, 1)),
    _config((8, 8, None, None), (1, 1, 4, 2, 1, 1), dram={"capacity_mib": 8}),
    _config((4, 8, 6, 10), (1, 1, 4, 2, 1, 1), vector_size=16, scale_product_bits=8, output_lanes=4),
    _config((3, 5, None, 7), (1, 1, 8, 4, 2, 1), output_lanes=32, accumulator_bits=24, precision_passes=3),
    _config(
        (2, 2, 1, 1), (1, 1, 8, 4, 2, 1), vector_size=64, output_lanes=16, guard_bits=8, precision_passes=4
    ),
    _config((4, 4, 4, 4), (1, 1, 8, 4, 2, 1), vector_size=16, output_lanes=16, precision_passes=2),
]


class Pair(nn.Module):
    """Two layers in one region, the second with a residual: double buffers, tokens both ways."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(16, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 16, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.first(x))
        return torch.relu(self.second(y) + y)


def _params() -> list[dict[str, int]]:
    return [{**config.sim_params(), "max_cycles": MAX_CYCLES} for config in CONFIGS]


def _convs() -> list[Conv]:
    """One of each configuration: strides, padding, residual, wide and narrow results."""
    rng = np.random.default_rng(1)
    convs = []
    for index, hw in enumerate(CONFIGS):
        x = vectors_of(rng, hw.formats.activation, 3, 3, 1)
        channels = max(hw.vector_size, hw.output_lanes)
        w = vectors_of(rng, hw.formats.weight, channels, 1 + index % 2, 1, 1)
        convs.append(
            Conv(
                hw,
                x,
                w,
                random_params(rng, channels, index % 2 == 0),
                stride=1 + index % 2,
                padding=(index % 3, 0, 1, index % 2),
                wide=index % 3 == 2,
                relu=index % 2 == 0,
            )
        )
        if index % 3 == 0:
            values = vectors_of(rng, hw.formats.activation, *convs[-1].out_size, channels // hw.vector_size)
            convs[-1] = Conv(**{**vars(convs[-1]), "residual": values, "res_mult": 3, "res_shift": 2})
    return convs


def _pool(hw: HardwareConfig) -> Program:
    """The largest of every two of three neighbouring channel groups, plus three times what they are."""
    vectors, blocks = hw.group_channels // hw.vector_size, hw.group_blocks
    loops = {"uop_count": 1, "iter_out": 2, "acc_out": blocks}
    lowest = {"op": code_of("VEC", "op", "mov"), "src": code_of("VEC", "src", "imm"), "imm": -32768}
    largest = {"op": code_of("VEC", "op", "max"), "iter_in": 2, "inp_out": vectors, "inp_in": vectors}
    sums = largest | {"op": code_of("VEC", "op", "mac"), "imm": 3}
    insns = [
        load("uop", 0, 0, 1),
        load("inp", 0, 64, 3 * vectors, "push_vector"),
        insn("VEC", "pop_load", **loops, **lowest, iter_in=1),
        insn("VEC", **loops, **largest),
        insn("VEC", "push_store", **loops, **sums),
        store("acc", 0, 256, 2 * blocks, "pop_vector"),
        insn("FINISH"),
    ]
    return Program(hw, insns, image=bytes(64), dram_bytes=1024)


def _rows(hw: HardwareConfig) -> Program:
    """Rows of three accumulator entries that LOAD brings: their largest lanes are taken away, then they are
    scaled by their squares, and by a factor where the parameters hold a table, of zeros."""
    blocks, entries = hw.group_blocks, -(-128 // hw.output_lanes)
    has_table = entries <= hw.depths["par"]
    row = {"uop_count": 1, "iter_out": 2, "iter_in": 3, "inp_out": 3, "inp_in": 1, "acc_out": blocks}
    largest = {"op": code_of("REDUCE", "op", "max"), "last_lanes": 3, "imm": -5}
    squares = {"op": code_of("REDUCE", "op", "squares"), "last_lanes": hw.output_lanes, "shift": 9}
    to = {"to": code_of("REDUCE", "to", "rsqrt" if has_table else "scaled"), "mult": 999, "exponent": 7}
    ops = {
        name: {"op": code_of("VEC", "op", name), "src": code_of("VEC", "src", "acc")}
        for name in ("sub", "scale")
    }
    loops = {"uop_begin": 1, "uop_count": 1, "iter_out": 6 // blocks, "iter_in": 1, "acc_out": blocks}
    insns = [
        load("uop", 0, 0, 2),
        *[load("par", 0, 64, entries)] * has_table,
        load("acc", 0, 4096, 6, "push_vector"),
        insn("REDUCE", "pop_load", **row, **largest),
        insn("VEC", "", **loops, **ops["sub"]),
        insn("REDUCE", "", **row, **squares, **to),
        insn("VEC", "push_store", **loops, **ops["scale"]),
        store("acc", 0, 4096, 6, "pop_vector"),
        insn("FINISH"),
    ]
    uops = encode_uops([(8, 0, 0), (0, 8, 0)], hw)
    return Program(hw, insns, image=uops.ljust(4096, b"\0"), dram_bytes=4096 + 6 * hw.record_bytes["acc"])


def _second(hw: HardwareConfig) -> Program:
    """A vector times what the PPU turns along pixels, stores, and a LOAD gathers."""
    lanes, record = hw.output_lanes, hw.second_record_bytes
    ppu = {"pixels": 2, "blocks": 1, "transpose": 1, "second": 1, "skip_vectors": 1}
    lane = {"gather": 1, "lanes": lanes - 1, "lane_stride": 1}
    insns = [
        load("uop", 0, 0, 1),
        load("par", 0, 64, 1),
        load("inp", 0, 4096, 1),
        load("acc", 0, 4096, 2, "push_ppu"),
        insn("PPU", "pop_load push_store push_compute", **ppu),
        store("out", 0, 8192, lanes - 1, "pop_ppu push_load", second=1),
        load("wgt", 0, 8192, 1, "pop_store push_compute", **lane),
        insn("GEMM", "pop_load pop_ppu push_store", fresh_uops=1, uop_count=1, iter_out=1, iter_in=1),
        store("acc", 0, 4096, 1, "pop_compute"),
        insn("FINISH"),
    ]
    par = pack_params(np.tile(np.array([999, 20, -3, 2**30], np.int32), (lanes, 1)))
    image = encode_uops([(0, 0, 0)], hw).ljust(64, b"\0") + par
    end = max(4096 + 2 * hw.record_bytes["acc"], 8192 + lanes * record)
    return Program(hw, insns, image=image.ljust(4096, b"\0"), dram_bytes=end)


def _digits(hw: HardwareConfig) -> Program:
    """Two passes over the weights of a channel group; vectors of two digits are added, and are the residual;
    the result has two digits, too."""
    vectors, blocks = hw.group_channels // hw.vector_size, hw.group_blocks
    loops = {"uop_count": blocks, "iter_out": 1, "iter_in": 1}
    unscaled = {"unscaled": 1, "act_unsigned": 1, **loops}
    add = {"op": code_of("VEC", "op", "add"), "digits": 1, "uop_count": 1, "iter_out": 1, "iter_in": 1}
    form = {"out_bits": min(8, 2 * hw.activation_bits), "digits": 1, "residual": 1, "res_digits": 1}
    insns = [
        load("uop", 0, 0, 2 * blocks),
        load("par", 0, 256, blocks),
        load("wgt", 0, 4096, 2 * blocks),
        load("inp", 0, 64, 2 * vectors, "push_compute"),
        insn("GEMM", "pop_load", fresh_uops=blocks, wgt_unsigned=1, **unscaled),
        insn("GEMM", "push_vector", uop_begin=blocks, shift=hw.weight_bits, **unscaled),
        insn("VEC", "pop_compute push_ppu", **add),
        insn("PPU", "pop_vector push_store", pixels=1, blocks=blocks, res_mult=3, **form),
        store("out", 0, 64, 2 * vectors, "pop_ppu"),
        insn("FINISH"),
    ]
    uops = encode_uops([(b, 0, 2 * b + digit) for digit in range(2) for b in range(blocks)], hw)
    par = pack_params(np.tile(np.array([999, 20, -3, 2**30], np.int32), (blocks * hw.output_lanes, 1)))
    image = (uops.ljust(256, b"\0") + par).ljust(4096, b"\0")
    return Program(hw, insns, image=image, dram_bytes=4096 + 2 * blocks * hw.record_bytes["wgt"])


def _program(index: int, data: dict[str, Any]) -> bytes:
    """A seed of fuzz_program: see ProgramInput. What the image lacks is random: the inputs."""
    rng = np.random.default_rng(index)
    rest = rng.integers(0, 256, data["dram_bytes"] - len(data["image"]), np.uint8).tobytes()
    code, ids = data["instructions"], np.frombuffer(data["layer_ids"], "<u4")
    size = INSTRUCTION_BYTES
    words = b"".join(code[size * i : size * (i + 1)] + bytes([layer % 2]) for i, layer in enumerate(ids))
    return struct.pack("<BIH", index, data["dram_bytes"], len(ids)) + words + data["image"] + rest


def _first_program(blob: bytes) -> dict[str, Any]:
    """What _program needs, out of a saved module (docs/simulator.md, section 6)."""
    stream = io.BytesIO(blob[24:])

    def integer() -> int:
        return int.from_bytes(stream.read(8), "little")

    def string() -> bytes:
        return stream.read(integer())

    for _ in range(integer()):
        string(), integer()  # a parameter
    string(), integer(), string()  # metadata, how many programs, name of the first
    data: dict[str, Any] = {"instructions": string(), "layer_ids": string()}
    for _ in range(integer()):
        string()
    return {**data, "image": string(), "dram_bytes": integer()}


def _tensor(config: int, is_input: bool, descriptor: list[int], rng: np.random.Generator) -> bytes:
    """A seed of fuzz_tensor: zeros are always inside the format, and random bytes seldom."""
    kind, offset, rows, lanes, signed, *form = descriptor
    sizes = b"".join(struct.pack("<BH", 0, value) for value in (offset, rows, lanes))
    head = struct.pack("<BBHBB", config, is_input, 4096, kind + 1, signed + 1) + sizes
    if form:
        bits, scale_bits, digits = form
        head += struct.pack("<BBB", 2 * bits + 1, scale_bits + 1, digits + 1)
    else:
        head += b"\0"
    return head + rng.integers(0, 2, 2 * rows * lanes, np.uint8).astype("<u2").tobytes()[: 2 * rows * lanes]


def _write(target: str, name: str, content: bytes) -> None:
    folder = HERE / "seeds" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def main() -> None:
    """Write every file."""
    lines = ["// Generated by `python -m tests.cpp.fuzz.make_seeds`. Do not edit."]
    for params in _params():
        lines.append("{" + ", ".join(f'{{"{name}", {value}}}' for name, value in params.items()) + "},")
    text = "\n".join(["// clang-format off", *lines]) + "\n"
    (HERE / "configs.inc").write_text(text, encoding="utf-8")

    rng = np.random.default_rng(2)
    for index, conv in enumerate(_convs()):
        program = conv.program()
        _write("program", f"conv{index}", _program(index, program.data()))
        _write("program", f"pool{index}", _program(index, _pool(conv.hw).data()))
        _write("program", f"rows{index}", _program(index, _rows(conv.hw).data()))
        _write("program", f"second{index}", _program(index, _second(conv.hw).data()))
        _write("artifact", f"conv{index}", saved(program.module(max_cycles=MAX_CYCLES)))
        lanes = conv.hw.vector_size + 1
        _write("tensor", f"vectors{index}", _tensor(index, True, [0, 64 * index, 5, lanes, index % 2], rng))
        _write("tensor", f"wide{index}", _tensor(index, False, [1, 8, 3, 5, 0], rng))
    for index, conv in enumerate(_convs()):
        lanes = conv.hw.vector_size + 1
        _write("tensor", f"second{index}", _tensor(index, True, [2, 64 * index, 5, lanes, 1], rng))
        if (hw := conv.hw).precision_passes > 1:
            _write("program", f"digits{index}", _program(index, _digits(hw).data()))
            form = [min(8, 2 * hw.activation_bits), 0, 2]
            _write("tensor", f"digits{index}", _tensor(index, True, [0, 32, 5, lanes, 1, *form], rng))

    shortest = Program(CONFIGS[0], [insn("FINISH")], dram_bytes=64)
    copy = [
        load("inp", 0, 0, 2, "push_compute"),
        insn("SYNC", "pop_load push_store"),
        store("acc", 0, 64, 1, "pop_compute"),
    ]
    refused = Program(CONFIGS[0], [*copy, insn("FINISH")], dram_bytes=256)
    loads = [load("uop", 0, 0, 2), load("inp", 0, 64, 1), load("wgt", 0, 128, 1, "push_compute")]
    fields = {"fresh_uops": 1, "out_reduces": 1, "uop_count": 2, "iter_out": 2, "iter_in": 1}
    gemm = insn("GEMM", "pop_load push_store", **fields)
    insns = [*loads, gemm, store("acc", 0, 192, 1, "pop_compute"), insn("FINISH")]
    overwrites = Program(CONFIGS[0], insns, image=bytes(64), dram_bytes=256)
    for name, program in (("shortest", shortest), ("refused", refused), ("overwrites", overwrites)):
        _write("program", name, _program(0, program.data()))
    _write("artifact", "shortest", saved(shortest.module(max_cycles=MAX_CYCLES)))

    torch.manual_seed(0)
    x = torch.randn(1, 16, 5, 5)
    exe = tvm_vsq.compile(Pair().eval(), target=CONFIGS[5], example_inputs=(x,), calibration=x.numpy())
    blob = saved(exe._accelerator)
    _write("artifact", "compiled", blob)
    _write("program", "compiled", _program(5, _first_program(blob)))


if __name__ == "__main__":
    main()
