"""Recognises the layers of a fake-quantized graph, and reads their integers and scales."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from tvm_vsq.errors import ConfigError, QuantizationError
from tvm_vsq.formats import QUANTIZED, WEIGHTS, LayerFormats, VectorFormat
from tvm_vsq.frontend import layer_names
from tvm_vsq.graph import bindings, constant_array, count_uses, definitions, is_constant, op_name
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.layers.chains import Chain, find_chains
from tvm_vsq.numerics import inverse_step
from tvm_vsq.transform.check_weights import check_weights
from tvm_vsq.tvm_compat import IRModule, Var


@dataclass(frozen=True)
class Vectors:
    """An activation tensor stored as vectors: the variable bound to vsq.quantize, its gamma and its form.

    scales: static vector scales, empty where they follow from the data.
    """

    vectors: Var
    gamma: float
    format: VectorFormat
    scales: list[int]


@dataclass(frozen=True)
class FusableLayer:
    """A layer whose operands are vectors.

    channels: of its input, C. weights: int16[K, ..., CV, V+1] with gamma_w float32[K]. output: the vectors
    its result is requantized to, which have the form of those it reads, or None if the result leaves wide.
    result: the variable that the fused operator replaces. output_absmax: calibrated, or None if the module
    does not say.
    """

    name: str
    chain: Chain
    x: Vectors
    channels: int
    weights: npt.NDArray[np.int16]
    gamma_w: npt.NDArray[np.float32]
    residual: Vectors | None
    output: Vectors | None
    result: Var
    output_absmax: float | None
    formats: LayerFormats

    @property
    def anchor(self) -> Var:
        """The convolution or matrix product."""
        return self.chain.anchor


def find_layers(module: IRModule, hardware: HardwareConfig) -> list[FusableLayer]:
    """The layers of `module` that read vectors, in program order; what cannot be read that way is left out.

    Raises QuantizationError where a vsq.quantize and its vsq.dequantize disagree, ConfigError for guard bits
    other than those of `hardware`.
    """
    reader = _Reader(module, hardware)
    anchors = [var for var in reader.names if reader.is_layer(var)]
    chains = find_chains(module["main"], anchors, lambda other: reader.vectors(other) is not None)
    return [reader.layer(anchor, chain) for anchor, chain in chains.items()]


class _Reader:
    def __init__(self, module: IRModule, hardware: HardwareConfig) -> None:
        function: relax.Function = module["main"]
        self.names = layer_names(module)
        self._hardware = hardware
        self._values = definitions(function)
        self._uses = count_uses(function)
        self._quantize_of: dict[Var, Var] = {}  # by the tensor that is quantized
        self._dequantize_of: dict[Var, Var] = {}  # by the vectors
        for binding in bindings(function):
            name = op_name(binding.value)
            if name == "vsq.quantize":
                self._quantize_of[binding.value.args[0]] = binding.var
            elif name == "vsq.dequantize":
                self._dequantize_of[binding.value.args[0]] = binding.var

    def is_layer(self, anchor: Var) -> bool:
        call = self._values[anchor]
        if op_name(call) == "relax.nn.conv2d" and int(call.attrs.groups) != 1:
            return False
        return self.vectors(call.args[0]) is not None and self._weights(anchor) is not None

    def vectors(self, expr: Any) -> Vectors | None:
        """The vectors that `expr` dequantizes; None if it is something else."""
        call: Any = self._values.get(expr) if isinstance(expr, Var) else None
        if op_name(call) != "vsq.dequantize" or not is_constant(call.args[1]):
            return None
        source: Any = self._values.get(call.args[0]) if isinstance(call.args[0], Var) else None
        gamma = constant_array(call.args[1])
        if op_name(source) != "vsq.quantize" or gamma.ndim:
            return None
        if np.float32(source.attrs["inv"]) != inverse_step(
            np.float32(gamma), int(source.attrs["guard_bits"])
        ):
            raise QuantizationError(
                f"'{expr.name}' restores with gamma={float(gamma)!r} what '{call.args[0].name}' quantized "
                f"with inv={float(source.attrs['inv'])!r}; inv must be 2^guard_bits / gamma"
            )
        if int(source.attrs["guard_bits"]) != self._hardware.guard_bits:
            raise ConfigError(
                f"'{call.args[0].name}' is quantized with guard_bits={int(source.attrs['guard_bits'])}, but "
                f"target '{self._hardware.label}' is built with guard_bits={self._hardware.guard_bits}; "
                f"quantize the model for this target"
            )
        scales = [int(scale) for scale in dict(source.attrs).get("scales", ())]
        return Vectors(call.args[0], float(gamma), QUANTIZED.read(source.attrs), scales)

    def _weights(self, anchor: Var) -> Any:
        """The vsq.dequantize call of the layer's constant weights; None if there is none."""
        call = self._values[anchor]
        kernel: Any = self._values.get(call.args[1]) if isinstance(call.args[1], Var) else None
        if op_name(call) == "relax.matmul":
            is_transpose = op_name(kernel) == "relax.permute_dims" and len(kernel.args[0].ty.shape) == 2
            kernel = self._values.get(kernel.args[0]) if is_transpose else None
        elif str(call.attrs.data_layout) != "NHWC" or str(call.attrs.kernel_layout) != "OHWI":
            return None
        is_restored = op_name(kernel) == "vsq.dequantize" and all(is_constant(arg) for arg in kernel.args)
        return kernel if is_restored and len(kernel.args[1].ty.shape) == 1 else None

    def layer(self, anchor: Var, chain: Chain) -> FusableLayer:
        call, kernel = self._values[anchor], self._weights(anchor)
        attrs = dict(kernel.attrs)
        name = str(attrs.get("layer", self.names[anchor]))
        weights = constant_array(kernel.args[0])
        quantized = self._quantize_of.get(chain.output)
        restored = self._dequantize_of.get(quantized) if quantized is not None else None
        output = self.vectors(restored) if self._uses[chain.output] == 1 and restored is not None else None
        x = self.vectors(call.args[0])
        if x is None:
            raise QuantizationError(f"layer '{name}' does not read vectors; quantize its input")
        if output is not None and output.format.with_sign(x.format.signed) != x.format:
            output = None  # another layer's form: the result leaves as int32, the host quantizes it
        built = WEIGHTS.write(self._hardware.formats.weight)  # where the module does not say its own
        weight = WEIGHTS.read({**built, **attrs}, weights.shape[-1] - 1)
        check_weights(name, weights, weight)
        formats = LayerFormats.of(weight, x.format, self._hardware.scale_product_bits)
        return FusableLayer(
            name=name,
            chain=chain,
            x=x,
            channels=int(attrs["channels"]),
            weights=weights,
            gamma_w=constant_array(kernel.args[1]),
            residual=None if chain.residual is None else self.vectors(chain.residual),
            output=output,
            result=chain.output if output is None else output.vectors,
            output_absmax=float(attrs["output_absmax"]) if "output_absmax" in attrs else None,
            formats=formats,
        )
