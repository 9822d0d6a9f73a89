"""Hand-assembled programs for the simulator: one convolution, tile by tile as a test wants it."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tvm_ffi
from tests.accelerators import accelerator
from tests.codegen.machine import Machine, run_in_order

from tvm_vsq import isa, numerics
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.ops.conv2d.reference import conv2d_accumulate
from tvm_vsq.runtime import native


def hardware(**changes: Any) -> HardwareConfig:
    """The base accelerator with some keys replaced; nested groups are merged."""
    return accelerator(changes)


def insn(name: str, tokens: str = "", **fields: int) -> isa.Insn:
    """An instruction; `tokens` are names of token bits separated by blanks."""
    return isa.Insn(name, fields, frozenset(tokens.split()))


def load(mem: str, base: int, at: int, z: int, tokens: str = "", **fields: int) -> isa.Insn:
    """LOAD of `z` contiguous entries, or more with the 2-D fields."""
    sizes = {"x_size": 1, "y_size": 1, **fields}
    return insn(
        "LOAD", tokens, mem=isa.LOAD_MEMORIES.index(mem), sram_base=base, dram_base=at, z_size=z, **sizes
    )


def store(mem: str, base: int, at: int, z: int, tokens: str = "", **fields: int) -> isa.Insn:
    sizes = {"x_size": 1, "y_size": 1, **fields}
    return insn(
        "STORE", tokens, mem=isa.STORE_MEMORIES.index(mem), sram_base=base, dram_base=at, z_size=z, **sizes
    )


def pack_params(params: npt.NDArray[np.int32]) -> bytes:
    """int32[K, 4] to the 11-byte records of `par`."""
    return b"".join(struct.pack("<HBii", *(int(value) for value in row)) for row in params)


@dataclass(frozen=True)
class Program:
    """What create_module takes, with one layer."""

    hw: HardwareConfig
    insns: list[isa.Insn]
    image: bytes = b""
    dram_bytes: int = 1 << 16
    inputs: list[list[int]] = field(default_factory=list)
    outputs: list[list[int]] = field(default_factory=list)

    def data(self) -> dict[str, Any]:
        return {
            "name": "main",
            "instructions": isa.encode_all(self.insns, self.hw),
            "layer_ids": bytes(4 * len(self.insns)),
            "layer_names": ["conv1"],
            "image": self.image,
            "dram_bytes": self.dram_bytes,
            "inputs": self.inputs,
            "outputs": self.outputs,
        }

    def module(self, verify: bool = True, **params: int) -> Any:
        params = {**self.hw.sim_params(), **params}
        return native.create_module(params, [self.data()], "metadata", verify=verify)

    def timing(self) -> dict[str, Any]:
        return native.simulate_timing(
            self.hw.sim_params(), isa.encode_all(self.insns, self.hw), bytes(4 * len(self.insns)), 1
        )

    def replaced(self, index: int, insns: list[isa.Insn]) -> Program:
        """With instruction `index` replaced by `insns`."""
        return replace(self, insns=[*self.insns[:index], *insns, *self.insns[index + 1 :]])


def second_reading(program: Program, *inputs: npt.NDArray[Any]) -> Machine:
    """What a second reading of docs/isa.md makes of a program, one instruction after the other."""
    listing = SimpleNamespace(**program.data())
    machine = Machine(listing, program.hw)  # type: ignore[arg-type]
    for index, array in enumerate(inputs):
        machine.write_input(index, array)
    run_in_order(machine)
    return machine


@dataclass(frozen=True)
class Conv:
    """One convolution with its operands; everything fits the scratchpads at once."""

    hw: HardwareConfig
    x: npt.NDArray[np.int16]  # [H, W, CV, V+1]
    w: npt.NDArray[np.int16]  # [K, R, S, CV, V+1]
    params: npt.NDArray[np.int32]  # [K, 4]
    stride: int = 1
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, left, bottom, right
    act_signed: bool = True
    out_signed: bool = True
    relu: bool = False
    wide: bool = False
    residual: npt.NDArray[np.int16] | None = None  # [OH, OW, KV, V+1]
    res_signed: bool = True
    res_mult: int = 0
    res_shift: int = 0
    overwrites: bool = False  # at the first tap, instead of a reset before

    @property
    def out_size(self) -> tuple[int, int]:
        top, left, bottom, right = self.padding
        height, width = self.x.shape[0] + top + bottom, self.x.shape[1] + left + right
        return (height - self.w.shape[1]) // self.stride + 1, (width - self.w.shape[2]) // self.stride + 1

    def expected(self) -> npt.NDArray[Any]:
        hw = self.hw
        acc = conv2d_accumulate(
            self.x[None],
            self.w,
            (self.stride, self.stride),
            self.padding,
            (1, 1),
            hw.product_shift,
            hw.product_bits,
        )[0]
        y = numerics.post_process(acc, self.params, self.relu, self.residual, self.res_mult, self.res_shift)
        if self.wide:
            return y
        fmt = hw.formats.activation.with_sign(self.out_signed)
        return numerics.requantize(y, fmt, hw.guard_bits)

    def program(self) -> Program:
        hw = self.hw
        size, lanes = hw.vector_size, hw.output_lanes
        height, width, cv, _ = self.x.shape
        channels, r_size, s_size = self.w.shape[:3]
        top, left, bottom, right = self.padding
        out_h, out_w = self.out_size
        blocks = -(-channels // lanes)
        padded_width = width + left + right
        weights = np.zeros((blocks * lanes, *self.w.shape[1:]), np.int16)
        weights[:channels] = self.w
        weights = weights.reshape(blocks, lanes, r_size, s_size, cv, size + 1).transpose(0, 2, 3, 4, 1, 5)
        params = np.zeros((blocks * lanes, 4), np.int32)
        params[:channels] = self.params
        uops = [
            (b, (r * padded_width + s) * cv + c, ((b * r_size + r) * s_size + s) * cv + c)
            for b in range(blocks)
            for r in range(r_size)
            for s in range(s_size)
            for c in range(cv)
        ]
        if self.overwrites:
            uops.sort(key=lambda uop: uop[1])  # the first tap of every block first
        reset = [(b, 0, 0) for b in range(blocks)]
        vectors = -(-channels // size)
        parts = {
            "uop": isa.encode_uops(uops + reset, hw),
            "wgt": numerics.pack_weights(weights, hw.formats.weight).tobytes(),
            "par": pack_params(params),
        }
        at, image = {}, b""
        for name, data in parts.items():
            at[name] = len(image)
            image += data + bytes(-len(data) % 64)
        record = hw.record_bytes["inp"]
        at["inp"] = len(image)
        at["res"] = at["inp"] + height * width * cv * record
        at["out"] = at["res"] + out_h * out_w * vectors * record
        out_bytes = (out_h * out_w + 1) * max(vectors * record, blocks * lanes * 4)
        inp_entries = (height + top + bottom) * padded_width * cv
        pixels = out_h * out_w
        inputs = [[0, at["inp"], height * width * cv, size + 1, int(self.act_signed)]]
        if self.residual is not None:
            inputs.append([0, at["res"], pixels * vectors, size + 1, int(self.res_signed)])
        wide, narrow = [pixels, channels], [pixels * vectors, size + 1]
        output = [int(self.wide), at["out"], *(wide if self.wide else narrow), 0]
        output[4] = int(self.out_signed)
        loads = [
            load("uop", 0, at["uop"], len(uops) + blocks),
            load("wgt", 0, at["wgt"], len(uops)),
            load("par", 0, at["par"], blocks),
            load(
                "inp",
                0,
                at["inp"],
                cv,
                x_size=width,
                y_size=height,
                x_stride=cv,
                y_stride=width * cv,
                y_pad_top=top,
                y_pad_bottom=bottom,
                x_pad_left=left,
                x_pad_right=right,
            ),
        ]
        if self.residual is not None:
            loads.append(load("inp", inp_entries, at["res"], pixels * vectors))
        loads[-1] = replace(loads[-1], tokens=frozenset({"push_compute"}))
        loops = {"iter_out": out_h, "iter_in": out_w, "acc_out": out_w * blocks, "acc_in": blocks}
        resets = [insn("GEMM", "pop_load", reset=1, uop_begin=len(uops), uop_count=blocks, **loops)]
        compute = [
            *([] if self.overwrites else resets),
            insn(
                "GEMM",
                "pop_load push_ppu" if self.overwrites else "push_ppu",
                fresh_uops=blocks if self.overwrites else 0,
                act_unsigned=int(not self.act_signed),
                uop_count=len(uops),
                inp_out=self.stride * padded_width * cv,
                inp_in=self.stride * cv,
                **loops,
            ),
            insn(
                "PPU",
                "pop_compute push_store",
                wide=int(self.wide),
                relu=int(self.relu),
                residual=int(self.residual is not None),
                res_unsigned=int(not self.res_signed),
                out_unsigned=int(not self.out_signed),
                res_base=inp_entries if self.residual is not None else 0,
                pixels=pixels,
                blocks=blocks,
                skip_vectors=-(-blocks * lanes // size) - vectors,
                res_mult=self.res_mult,
                res_shift=self.res_shift,
            ),
        ]
        if self.wide:
            stores = [store("acc", 0, at["out"], blocks, "pop_ppu", x_size=pixels, x_stride=blocks)]
        else:
            stores = [store("out", 0, at["out"], vectors, "pop_ppu", x_size=pixels, x_stride=vectors)]
        finish = [insn("FINISH")]
        return Program(hw, loads + compute + stores + finish, image, at["out"] + out_bytes, inputs, [output])

    def run(self) -> npt.NDArray[Any]:
        shape = (*self.out_size, len(self.w))
        vectors = (*self.out_size, -(-len(self.w) // self.hw.vector_size), self.hw.vector_size + 1)
        result = np.full(shape, -1, np.int32) if self.wide else np.full(vectors, -1, np.int16)
        tensors = [np.ascontiguousarray(self.x)]
        if self.residual is not None:
            tensors.append(np.ascontiguousarray(self.residual))
        module = self.program().module()
        module["main"](*(tvm_ffi.from_dlpack(tensor) for tensor in [*tensors, result]))
        return result


@pytest.fixture
def small_conv() -> Conv:
    """A 3x3 convolution of 4x4 pixels, one vector in, one block out."""
    hw = hardware()
    x = np.ones((4, 4, 1, 9), np.int16)
    w = np.ones((8, 3, 3, 1, 9), np.int16)
    params = np.tile(np.array([1, 0, 0, 2**31 - 1], np.int32), (8, 1))
    return Conv(hw, x, w, params)
