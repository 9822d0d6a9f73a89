"""One call of a vsq.* operator without weights, computed four times: NumPy, TensorIR, torch, simulator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import tvm
from tests.accelerators import accelerator, random_formats
from tests.networks import QUICK
from tests.vectors import tensor_of
from tvm import relax
from tvm.ir import Call, IRModule

from tvm_vsq import numerics
from tvm_vsq.codegen import Program, lower_region
from tvm_vsq.graph import constant
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.placement.regions import CODEGEN
from tvm_vsq.runtime import native
from tvm_vsq.schedule import Database
from tvm_vsq.torch_graph import TorchGraph
from tvm_vsq.transform.partition import partition

INT32_MAX = 2**31 - 1


def random_hardware(rng: np.random.Generator) -> HardwareConfig:
    """Any formats, vector size and lanes; scratchpads so small that a tiny layer is cut into tiles."""
    entries = {"inp": 64, "out": 40, "wgt": 8, "acc": 40, "par": 8, "uop": 64}
    return accelerator({"name": "small", "dram": {"capacity_mib": 4}}, random_formats(rng, entries))


def random_vectors(
    rng: np.random.Generator, hw: HardwareConfig, signed: bool, *leading: int, channels: int
) -> np.ndarray:
    """Activations int16[*leading, CV, V+1]."""
    return tensor_of(rng, hw.formats.activation.with_sign(signed), *leading, channels=channels)


@dataclass(frozen=True)
class Epilogue:
    """What follows the accumulators: parameters [channels, 4] and the attributes that all operators share."""

    params: np.ndarray
    attributes: dict[str, Any]

    @staticmethod
    def draw(
        rng: np.random.Generator,
        hw: HardwareConfig,
        channels: int,
        largest: int | None = None,
        **fixed: int | str,
    ) -> Epilogue:
        """Results that spread around the output's range, of accumulators up to `largest` (of one vector)."""
        peak = hw.formats.activation.qmax * hw.formats.activation.smax
        reach, largest = peak << hw.guard_bits, 2 * peak if largest is None else largest
        mult = rng.integers(1, 2**hw.multiplier_bits, channels)
        fitting = np.array([(largest * int(m) // (2 * reach)).bit_length() for m in mult])
        clip = np.where(rng.integers(3, size=channels) == 0, max(1, reach // 2), INT32_MAX)
        columns = [mult, np.clip(fitting, 0, 62), rng.integers(-reach, reach + 1, channels) // 2, clip]
        signed = int(rng.integers(2))
        attributes = {
            "product_shift": hw.product_shift,
            "product_bits": hw.product_bits,
            "relu": int(rng.integers(2)) if signed else 1,
            "res_mult": int(rng.integers(2**hw.multiplier_bits)),
            "res_shift": int(rng.integers(6, 17)),
            "wide": int(rng.integers(4) == 0),
            "out_bits": hw.activation_bits,
            "out_scale_bits": hw.formats.activation.scale_width,
            "out_signed": signed,
            "guard_bits": hw.guard_bits,
            "act_signed": int(rng.integers(2)),
            "res_signed": int(rng.integers(2)),
            "layer": "layer",
            **fixed,
        }
        return Epilogue(np.stack(columns, axis=1).astype(np.int32), attributes)

    def apply(self, hw: HardwareConfig, acc: np.ndarray, residual: np.ndarray | None) -> np.ndarray:
        """What NumPy makes of accumulators."""
        a = self.attributes
        factor = (a["res_mult"], a["res_shift"])
        y = numerics.post_process(acc, self.params, bool(a["relu"]), residual, *factor)
        out = hw.formats.activation.with_sign(bool(a["out_signed"]))
        return y if a["wide"] else numerics.requantize(y, out, hw.guard_bits)


def function_of(build: Callable[..., Call], *arrays: np.ndarray) -> IRModule:
    """A module of one function of parameters x0, x1, ... like the arrays: build(*parameters)."""
    return chain_of(lambda _emit, *parameters: build(*parameters), *arrays)


def chain_of(build: Callable[..., Call], *arrays: np.ndarray) -> IRModule:
    """The same of several calls: build(emit, *parameters), where `emit` takes all calls but the last."""
    builder = relax.BlockBuilder()
    parameters = [
        relax.Var(f"x{i}", relax.TensorType(list(array.shape), str(array.dtype)))
        for i, array in enumerate(arrays)
    ]
    with builder.function("main", parameters):
        with builder.dataflow():
            result = builder.emit_output(builder.emit(build(builder.emit, *parameters)))
        builder.emit_func_output(result)
    return builder.get()


def module_of(build: Callable[..., Call], inputs: list[np.ndarray], params: np.ndarray) -> IRModule:
    """A function of the inputs, whose body is build(x, params[, residual])."""
    return function_of(lambda x, *others: build(x, constant(params), *others), *inputs)


def on_cpu(module: IRModule, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """The module legalized to TIR, built for the CPU and called; in torch it gives the same bits."""
    copies = [np.array(array, order="C") for array in inputs]
    machine = relax.VirtualMachine(relax.build(module, QUICK), tvm.cpu())
    result: np.ndarray = machine["main"](*map(tvm.runtime.tensor, copies)).numpy()
    in_torch = TorchGraph(module["main"])(*map(torch.from_numpy, copies)).numpy()
    assert in_torch.dtype == result.dtype
    np.testing.assert_array_equal(in_torch, result)
    return result


def region_of(module: Any) -> Any:
    """The only region of a module."""
    functions = [function for _, function in partition(module).functions_items()]
    (region,) = [f for f in functions if f.attrs and f.attrs.get("Codegen") == CODEGEN]
    return region


def simulate(
    program: Program, arguments: Sequence[np.ndarray], like: Sequence[np.ndarray]
) -> tuple[list[np.ndarray], Any]:
    """Results of the program in the simulator, which are arrays like `like`, and its timing."""
    module = native.create_module(program.hardware.sim_params(), [program.to_native()], "{}")
    results = [tvm.runtime.tensor(np.full_like(array, 77)) for array in like]
    module[program.name](*map(tvm.runtime.tensor, arguments), *results)
    return [result.numpy() for result in results], module["get_timing"]()[0]


def check(
    module: IRModule,
    inputs: list[np.ndarray],
    hw: HardwareConfig,
    expected: np.ndarray,
) -> Program:
    """TensorIR, torch and the simulator give `expected`; returns the program."""
    result = on_cpu(module, inputs)
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)
    region = region_of(module)
    program = lower_region(region, hw, Database())
    by_name = dict(zip((parameter.name for parameter in module["main"].params), inputs, strict=True))
    (simulated,), _ = simulate(program, [by_name[parameter.name] for parameter in region.params], [expected])
    np.testing.assert_array_equal(simulated, expected)
    return program
