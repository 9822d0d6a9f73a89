"""Which layers are quantized, and which tensors that makes quantized."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_vsq.frontend import layer_names
from tvm_vsq.graph import definitions
from tvm_vsq.layers.chains import Chain, find_chains
from tvm_vsq.layers.supported import unsupported
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
    """Take every layer the accelerator has a form for; see `layers.supported`."""
    function = module["main"]
    values = definitions(function)
    names = {var: name for var, name in layer_names(module).items() if not unsupported(values[var])}
    chains = find_chains(function, list(names), lambda _other: True)
    layers = tuple(QuantizedLayer(names[var], values[var].args[0], chain) for var, chain in chains.items())
    residuals = {layer.chain.residual for layer in layers if layer.chain.residual is not None}
    return Plan(layers, frozenset({layer.x for layer in layers} | residuals))
