"""Which layers are quantized, and which tensors that makes quantized."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm_vsq.frontend import layer_names
from tvm_vsq.graph import definitions, is_constant, op_name
from tvm_vsq.quantize.chains import Chain, find_chains
from tvm_vsq.tvm_compat import IRModule, Var


@dataclass(frozen=True)
class QuantizedLayer:
    """A layer with its epilogue, its name, and the variable that it reads."""

    name: str
    x: Var
    chain: Chain


@dataclass(frozen=True)
class Plan:
    """The layers in program order, and every tensor that is stored as vectors: their inputs and residuals."""

    layers: tuple[QuantizedLayer, ...]
    quantized: frozenset[Var]

    @property
    def points(self) -> list[Var]:
        """The tensors whose range has to be calibrated, in a fixed order."""
        wanted = [
            tensor for layer in self.layers for tensor in (layer.x, layer.chain.residual, layer.chain.output)
        ]
        return list(dict.fromkeys(tensor for tensor in wanted if tensor is not None))


def make_plan(module: IRModule) -> Plan:
    """Take every layer the accelerator has a form for; see `unsupported`."""
    function = module["main"]
    values = definitions(function)
    names = {var: name for var, name in layer_names(module).items() if not unsupported(values[var])}
    chains = find_chains(function, list(names), lambda _other: True)
    layers = tuple(QuantizedLayer(names[var], values[var].args[0], chain) for var, chain in chains.items())
    residuals = {layer.chain.residual for layer in layers if layer.chain.residual is not None}
    return Plan(layers, frozenset({layer.x for layer in layers} | residuals))


def unsupported(call: Any) -> str:
    """Why a convolution or matrix product stays in fp32 on the CPU; empty if it need not."""
    x, weight = call.args[0], call.args[1]
    if not isinstance(x, Var):
        return "the input is a constant"
    if op_name(call) == "relax.matmul":
        if not is_constant(weight):
            return "both operands are activations, and only constant weights have an accelerator form yet"
        return (
            ""
            if len(weight.ty.shape) == 2
            else f"weights of rank {len(weight.ty.shape)}, only [C, K] has a form"
        )
    if int(call.attrs.groups) != 1:
        groups = int(call.attrs.groups)
        return f"groups={groups}: grouped and depthwise convolutions have no accelerator form yet"
    if not is_constant(weight):
        return "the kernel is computed at run time, and only constant weights have an accelerator form"
    layouts = (str(call.attrs.data_layout), str(call.attrs.kernel_layout), str(call.attrs.out_layout))
    return (
        ""
        if layouts == ("NHWC", "OHWI", "NHWC")
        else f"layouts {'/'.join(layouts)} instead of NHWC/OHWI/NHWC"
    )
