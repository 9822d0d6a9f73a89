"""Random layers with data, their programs, and what NumPy says they compute."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tests.accelerators import accelerator

from tvm_vsq import numerics
from tvm_vsq.codegen import DramTensor, PostOp, Program, ScheduledLayer, build_program
from tvm_vsq.codegen.constants import param_records, weight_records
from tvm_vsq.formats import VectorFormat
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.ops.conv2d.reference import conv2d_accumulate
from tvm_vsq.schedule import Convolution, Knobs, default_knobs

SMALL: dict[str, Any] = {
    "name": "small",
    "scratchpads": {
        "uop_kib": 1,
        "inp_kib": 1,
        "wgt_kib": 8,
        "acc_kib": 4,
        "par_kib": 2,
        "out_kib": 1,
        "banks": {"uop": 2, "inp": 2, "wgt": 1, "acc": 1, "par": 1, "out": 2},
    },
    "dram": {"capacity_mib": 4, "row_bytes": 1024},
    "timing": {"fetch_buffer_bursts": 4, "command_queue_depth": 8, "token_queue_depth": 4},
}
"""Scratchpads so small that tiny layers are cut into tiles."""


def hardware(**changes: Any) -> HardwareConfig:
    """A small accelerator with some keys replaced; nested groups are merged."""
    return accelerator(SMALL, changes)


@dataclass
class Network:
    """Layers appended one by one; tensors hold int16 vectors [n, h, w, vectors, V+1]."""

    hw: HardwareConfig
    rng: np.random.Generator
    layers: list[ScheduledLayer] = field(default_factory=list)
    tensors: dict[str, DramTensor] = field(default_factory=dict)
    values: dict[str, np.ndarray] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    data: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    """Weights int16 [K, R, S, CV, V+1] and parameters int32 [K, 4] of each layer."""

    def format(self, signed: bool) -> VectorFormat:
        return self.hw.formats.activation.with_sign(signed)

    def input(self, name: str, shape: tuple[int, int, int, int], signed: bool = True) -> str:
        """A region input [n, h, w, channels] of random integers."""
        scale = self.format(signed).qmax * self.format(signed).smax << self.hw.guard_bits
        y = self.rng.integers(-scale if signed else 0, scale + 1, shape) * self.rng.random(shape) ** 2
        vectors = numerics.requantize(y.astype(np.int64), self.format(signed), self.hw.guard_bits)
        n, h, w, c = vectors.shape[:4]
        self.tensors[name] = DramTensor(name, n * h * w, c, c, signed)
        self.values[name] = vectors
        self.inputs.append(name)
        return name

    def conv(
        self,
        source: str,
        channels: int,
        kernel: tuple[int, int] = (1, 1),
        residual: str | None = None,
        knobs: Knobs | None = None,
        output: bool = False,
        wide: bool = False,
        relu: bool = False,
        signed: bool = True,
        **geometry: Any,
    ) -> str:
        """Append a convolution and return the name of its result."""
        hw, rng, x = self.hw, self.rng, self.values[source]
        name = f"layer{len(self.layers)}"
        groups = -(-channels // hw.group_channels)
        n, h, w, cv = x.shape[:4]
        work = Convolution(
            n,
            h,
            w,
            cv,
            groups * hw.group_blocks,
            *kernel,
            has_residual=residual is not None,
            wide=wide,
            **geometry,
        )
        high, smax = 2 ** (hw.weight_bits - 1) - 1, 2 ** (hw.weight_scale_bits or 0) - 1 or 1
        weights = np.concatenate(
            [
                rng.integers(-high, high + 1, (channels, *kernel, cv, hw.vector_size)),
                rng.integers(1, smax + 1, (channels, *kernel, cv, 1)),
            ],
            axis=-1,
        ).astype(np.int16)
        params = np.stack(
            [
                rng.integers(1, 2**hw.multiplier_bits, channels),
                rng.integers(14, 22, channels),
                rng.integers(-500, 500, channels),
                rng.choice([2**31 - 1, 700], channels),
            ],
            axis=1,
        ).astype(np.int32)
        post = PostOp(
            relu=relu,
            res_mult=int(rng.integers(1, 2**16)) if residual else 0,
            res_shift=12 if residual else 0,
            act_unsigned=not self.tensors[source].signed,
            res_unsigned=residual is not None and not self.tensors[residual].signed,
            out_unsigned=not signed,
        )
        knobs = knobs or default_knobs(work, hw, name)
        result = f"t{len(self.layers)}"
        vectors = -(-channels // hw.vector_size)
        pitch = vectors if output else work.kb * hw.output_lanes // hw.vector_size
        self.tensors[result] = DramTensor(
            result,
            n * work.oh * work.ow,
            vectors,
            work.kb if wide else pitch,
            signed,
            channels if wide else None,
        )
        self.data[name] = weights, params
        self.layers.append(
            ScheduledLayer(
                name,
                "conv2d",
                work,
                post,
                (cv * hw.vector_size, channels),
                {"wgt": weight_records(weights, hw), "par": param_records(params, hw)},
                {"inp": source} | ({"res": residual} if residual else {}),
                result,
                knobs=knobs,
                tuned=False,
            )
        )
        acc = conv2d_accumulate(
            x, weights, work.strides, work.padding, work.dilation, hw.product_shift, hw.product_bits
        )
        res = self.values[residual] if residual else None
        y = numerics.post_process(acc, params, relu, res, post.res_mult, post.res_shift)
        self.values[result] = y if wide else numerics.requantize(y, self.format(signed), hw.guard_bits)
        if output:
            self.outputs.append(result)
        return result

    def program(self) -> Program:
        return build_program("main", self.layers, self.tensors, self.inputs, self.outputs, self.hw)


def random_network(seed: int) -> Network:
    """Three or four convolutions of any geometry, with residuals where shapes allow, on a random small
    accelerator.
    """
    rng = np.random.default_rng(seed)
    hw = hardware(
        vector_size=int(rng.choice([8, 16])),
        output_lanes=int(rng.choice([4, 8, 16])),
        timing={"token_queue_depth": int(rng.integers(1, 5))},
        scratchpads={"acc_kib": 8, "inp_kib": 2},
    )
    network = Network(hw, rng)
    n, h, w = (int(size) for size in rng.integers(1, (3, 8, 8)))
    channels = int(rng.integers(1, 40))
    value = network.input("x", (n, h, w, channels), bool(rng.integers(2)))
    for index in range(3):
        kernel = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
        same = bool(rng.integers(2))
        residual = value if same and rng.integers(3) else None
        channels = channels if residual else int(rng.integers(1, 50))
        value = network.conv(
            value,
            channels,
            kernel,
            residual=residual,
            output=index == 2 or bool(rng.integers(2)),
            relu=bool(rng.integers(2)),
            signed=bool(rng.integers(2)),
            padding=(kernel[0] - 1, kernel[1] - 1, 0, 0) if same else (2, 2, 1, 2),
            strides=(1, 1) if same else (int(rng.integers(1, 4)), int(rng.integers(1, 4))),
        )
    network.conv(value, 5, output=True, wide=True)
    return network


def check(machine: Any, network: Network, program: Program, run: Any) -> dict[int, list[bytes]]:
    """Run the program with `run`, compare every output, and return where all operands came from."""
    device = machine.Machine(program, network.hw)
    for i, name in enumerate(network.inputs):
        device.write_input(i, network.values[name])
    run(device)
    for i, name in enumerate(network.outputs):
        np.testing.assert_array_equal(device.read_output(i, network.values[name].shape), network.values[name])
    provenance: dict[int, list[bytes]] = device.provenance
    return provenance
