"""Random layers with data, their programs, and what NumPy says they compute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tests.accelerators import accelerator
from tests.ops.layers import Epilogue, random_vectors, region_of, simulate
from tests.vectors import tensor_of
from tvm import relax
from tvm.ir import Call, IRModule

from tvm_vsq import numerics
from tvm_vsq.codegen import Program, lower_region, region_workloads
from tvm_vsq.graph import constant
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.ops.add.reference import add_accumulate
from tvm_vsq.ops.add.relax import add
from tvm_vsq.ops.avg_pool2d.reference import avg_pool2d_accumulate
from tvm_vsq.ops.avg_pool2d.relax import avg_pool2d
from tvm_vsq.ops.conv2d.reference import conv2d_accumulate
from tvm_vsq.ops.conv2d.relax import conv2d
from tvm_vsq.ops.dense.relax import dense
from tvm_vsq.ops.max_pool2d.reference import max_pool2d_accumulate
from tvm_vsq.ops.max_pool2d.relax import max_pool2d
from tvm_vsq.schedule import (
    Database,
    Knobs,
    Record,
    Workload,
    candidates,
    fingerprint,
    fits,
    nest_of,
)
from tvm_vsq.schedule.tiling import knobs_of

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


def any_schedule(rng: np.random.Generator, work: Workload, hw: HardwareConfig) -> Knobs:
    """A legal schedule with tiles of any size, also such as the search never looks at."""
    nest = nest_of(work, hw)
    for _ in range(30):
        sizes = {dim.name: int(rng.integers(1, dim.extent + 1)) for dim in nest.dims}
        knobs = knobs_of(nest, sizes, str(rng.choice(list(nest.orders))), bool(rng.integers(2)))
        if fits(work, knobs, hw):
            return knobs
    legal = candidates(work, hw)
    return legal[int(rng.integers(len(legal)))]


@dataclass
class Network:
    """Layers appended one by one, and what NumPy computes for them.

    Tensors have names; their values are int16 vectors [n, h, w, vectors, V+1], or int32 [n, h, w, channels].
    """

    hw: HardwareConfig
    rng: np.random.Generator
    inputs: list[str] = field(default_factory=list)
    """In the order of the program's arguments, once there is a program."""
    outputs: list[str] = field(default_factory=list)
    values: dict[str, np.ndarray] = field(default_factory=dict)
    channels: dict[str, int] = field(default_factory=dict)
    signed: dict[str, bool] = field(default_factory=dict)
    calls: list[tuple[str, Callable[..., Call]]] = field(default_factory=list)
    """The name of each result, and its vsq.* call as a function of the variables by name."""
    schedules: dict[str, Knobs] = field(default_factory=dict)

    def input(self, name: str, shape: tuple[int, int, int, int], signed: bool = True) -> str:
        """A region input [n, h, w, channels] of random integers."""
        *pixels, channels = shape
        self.values[name] = random_vectors(self.rng, self.hw, signed, *pixels, channels=channels)
        self.channels[name], self.signed[name] = channels, signed
        self.inputs.append(name)
        return name

    def conv(
        self,
        source: str,
        channels: int,
        kernel: tuple[int, int] = (1, 1),
        *,
        strides: tuple[int, int] = (1, 1),
        padding: tuple[int, int, int, int] = (0, 0, 0, 0),
        dilation: tuple[int, int] = (1, 1),
        **layer: Any,
    ) -> str:
        """Append a convolution; returns the name of its result. `layer` is for `_append`."""
        hw, x = self.hw, self.values[source]
        given = x.shape[-2] * hw.vector_size
        w = tensor_of(self.rng, hw.formats.weight, channels, *kernel, channels=given)
        geometry = {"strides": strides, "padding": padding, "dilation": dilation}
        acc = conv2d_accumulate(x, w, *geometry.values(), hw.product_shift, hw.product_bits)
        return self._append(conv2d, source, acc, [w], geometry, **layer)

    def dense(self, source: str, channels: int, **layer: Any) -> str:
        """Append a matrix product with every pixel."""
        hw, x = self.hw, self.values[source]
        w = tensor_of(self.rng, hw.formats.weight, channels, channels=x.shape[-2] * hw.vector_size)
        acc = numerics.accumulate(x, w, hw.product_shift, hw.product_bits)
        return self._append(dense, source, acc, [w], {}, **layer)

    def pool(
        self,
        source: str,
        kernel: tuple[int, int],
        *,
        strides: tuple[int, int] = (1, 1),
        padding: tuple[int, int, int, int] = (0, 0, 0, 0),
        counted: tuple[int, int, int, int] | None = None,
        **layer: Any,
    ) -> str:
        """Append a maximum over windows, or, if it is said which zeros count, an average."""
        geometry = {"pool_size": kernel, "strides": strides, "padding": padding, "dilation": (1, 1)}
        x, channels, operator = self.values[source], self.channels[source], max_pool2d
        if counted is None:
            acc = max_pool2d_accumulate(x, *geometry.values())
        else:
            geometry["counted"], operator = counted, avg_pool2d
            acc, _ = avg_pool2d_accumulate(x, *geometry.values())
        attributes = {**geometry, "channels": channels}
        return self._append(operator, source, acc[..., :channels], [], attributes, **layer)

    def add(self, source: str, other: str, **layer: Any) -> str:
        """Append a sum."""
        channels = self.channels[source]
        acc = add_accumulate(self.values[source], channels)
        return self._append(add, source, acc, [], {"channels": channels}, residual=other, **layer)

    def _append(
        self,
        operator: Callable[..., Call],
        source: str,
        acc: np.ndarray,
        weights: list[np.ndarray],
        attributes: dict[str, Any],
        *,
        residual: str | None = None,
        knobs: Knobs | None = None,
        output: bool = False,
        wide: bool = False,
        relu: bool = False,
        signed: bool = True,
        **changes: int,
    ) -> str:
        """A layer of these accumulators with a random epilogue; `changes` are attributes of its call."""
        number = len(self.calls)
        name, result, channels = f"layer{number}", f"t{number}", acc.shape[-1]
        chosen = {"wide": wide, "relu": relu, "out_signed": signed, "act_signed": self.signed[source]}
        chosen |= {"res_signed": self.signed[residual]} if residual else {"res_mult": 0, "res_shift": 0}
        largest = max(1, int(np.abs(acc).max()))
        fixed = {key: int(value) for key, value in chosen.items()}
        epilogue = Epilogue.draw(self.rng, self.hw, channels, largest, layer=name, **fixed)
        attributes = {**attributes, **epilogue.attributes, **changes}
        constants = [constant(array) for array in (*weights, epilogue.params)]
        others = [residual] if residual else []
        self.calls.append(
            (
                result,
                lambda at: operator(at[source], *constants, *(at[other] for other in others), **attributes),
            )
        )
        self.values[result] = epilogue.apply(self.hw, acc, self.values[residual] if residual else None)
        self.channels[result], self.signed[result] = channels, signed
        if knobs:
            self.schedules[name] = knobs
        if output:
            self.outputs.append(result)
        return result

    def module(self) -> IRModule:
        """The network as one Relax function."""
        types = {name: relax.TensorType(list(self.values[name].shape), "int16") for name in self.inputs}
        at: dict[str, Any] = {name: relax.Var(name, kind) for name, kind in types.items()}
        builder = relax.BlockBuilder()
        with builder.function("main", list(at.values())):
            with builder.dataflow():
                for result, call in self.calls:
                    at[result] = builder.emit(call(at))
                results = [at[name] for name in self.outputs]
                out = builder.emit_output(results[0] if len(results) == 1 else relax.Tuple(results))
            builder.emit_func_output(out)
        return builder.get()

    def region(self) -> Any:
        """What code generation gets; its parameters have the names of the inputs, in an order of its own."""
        region = region_of(self.module())
        self.inputs = [parameter.name for parameter in region.params]
        return region

    def draw_schedules(self) -> None:
        """Any legal schedule for every layer."""
        for layer, work in region_workloads(self.region(), self.hw):
            self.schedules[layer] = any_schedule(self.rng, work, self.hw)

    def database(self) -> Database:
        """The schedules that were asked for."""
        common = {"hardware": fingerprint(self.hw), "cycles": 1, "default_cycles": 1, "trials": 1}
        works = dict(region_workloads(self.region(), self.hw))
        records = {
            works[layer].key: Record(workload=works[layer].key, knobs=knobs.to_dict(), **common)
            for layer, knobs in self.schedules.items()
        }
        return Database(records=tuple(records.values()))

    def program(self) -> Program:
        """The region's program."""
        database = self.database() if self.schedules else Database()
        program = lower_region(self.region(), self.hw, database)
        assert all(layer.tuned for layer in program.layers if layer.name in self.schedules)
        return program

    def simulate(self, program: Program) -> Any:
        """The simulator's results equal NumPy's; returns the timing."""
        values = [self.values[name] for name in self.outputs]
        results, timing = simulate(program, [self.values[name] for name in self.inputs], values)
        for result, value in zip(results, values, strict=True):
            np.testing.assert_array_equal(result, value)
        return timing


def random_network(seed: int) -> Network:
    """Convolutions, pools and sums of any geometry, residuals where shapes allow, and a wide dense layer;
    on a random small accelerator, every other one with any schedules.
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
    for index in range(4):
        kernel = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
        same = bool(rng.integers(2))
        residual = value if same and rng.integers(3) else None
        layer = {
            "output": index == 3 or bool(rng.integers(2)),
            "relu": bool(rng.integers(2)),
            "signed": bool(rng.integers(2)),
        }
        around = (kernel[0] - 1, kernel[1] - 1, 0, 0) if same else (2, 2, 1, 2)
        strides = (1, 1) if same else (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
        kind = rng.choice(["conv", "conv", "pool", "add"])
        if kind == "conv":
            channels = channels if residual else int(rng.integers(1, 50))
            geometry = {"padding": around, "strides": strides}
            value = network.conv(value, channels, kernel, residual=residual, **geometry, **layer)
        elif kind == "pool":
            # No window may lie in the padding.
            halves = tuple((taps - 1) // 2 for taps in kernel)
            size = network.values[value].shape[1:3]
            kernel = tuple(
                min(taps, extent + 2 * half) for taps, extent, half in zip(kernel, size, halves, strict=True)
            )
            counted = ((0, 0, 0, 0), halves * 2, None)[(seed + index) % 3]
            value = network.pool(value, kernel, strides=strides, padding=halves * 2, counted=counted, **layer)
        else:
            value = network.add(value, value, **layer)
    network.dense(value, 5, output=True, wide=True)
    if seed % 2:
        network.draw_schedules()
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
