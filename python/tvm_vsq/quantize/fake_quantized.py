"""The torch module that `fake_quantize` makes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from typing_extensions import Self

from tvm_vsq.graph import constant_array
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.quantize.torch_graph import TorchGraph
from tvm_vsq.quantize.torch_graph.batching import run_in_batches
from tvm_vsq.quantize.torch_graph.straight_through import quantize_weights
from tvm_vsq.quantize.trainable import trainable_layers, with_own_biases, with_weights
from tvm_vsq.transform.fuse import fuse
from tvm_vsq.tvm_compat import IRModule


class FakeQuantized(nn.Module):
    """A quantized network in torch, with the float weights and biases of its quantized layers as parameters.

    In eval mode it computes the integer layers of the compiled network: each layer gives, from the same
    vectors, the same bits as the accelerator. So does the network where no fp32 operator stands between
    layers; such operators are torch's, and may differ from TVM's in the last bit. There are no gradients.

    In train mode it computes in floating point on quantized operands, weights quantized anew in each call,
    with straight-through gradients. Formats and coarse scales of activations stay those of calibration.

    Weights are quantized as `quantize` chose to until a parameter changes; then all of them are quantized
    by maximum, as in training. Layers left in fp32, and normalizations, are not trained. Layers that share
    parameters in the model have their own here.

    Parameters are `layers.<name>.weight`, [K, R, S, C] or [K, C], and `layers.<name>.bias`. Inputs and
    results are those of the imported network, torch tensors or NumPy arrays, with any number of samples: they
    are computed in batches of the imported size. On the CPU only.
    """

    def __init__(
        self,
        quantized: IRModule,
        hardware: HardwareConfig,
        weights: Mapping[str, npt.NDArray[np.float32]],
    ) -> None:
        super().__init__()
        self._quantized, self._hardware = with_own_biases(quantized), hardware
        self._inputs = list(self._quantized["main"].params)
        self._trained = trainable_layers(self._quantized)
        self.layers = nn.Module()
        self._holders: dict[str, nn.Module] = {}
        for layer in self._trained:
            holder = _nested(self.layers, layer.name)
            holder.register_parameter("weight", _parameter(weights[layer.name]))
            bias = None if layer.bias is None else _parameter(constant_array(layer.bias))
            holder.register_parameter("bias", bias)
            self._holders[layer.name] = holder
        self._initial = self._versions()
        self._float_graph: TorchGraph | None = None
        self._integer_graph: TorchGraph | None = None
        self._integers_of: Any = None

    @property
    def hardware(self) -> HardwareConfig:
        """The accelerator that computes what this does in eval mode."""
        return self._hardware

    def forward(self, *inputs: Any) -> Any:
        """The network's result for any number of samples."""
        return run_in_batches(self._train_step if self.training else self._evaluate, self._inputs, inputs)

    def train(self, mode: bool = True) -> Self:
        """Between the two modes; see the class."""
        self._integers_of = None
        return super().train(mode)

    def to_relax(self) -> IRModule:
        """The quantized module with the parameters' present values.

        It compiles as one from `tvm_vsq.quantize_model` does, with equal results; see `hardware`.
        """
        if self._versions() == self._initial:
            return self._quantized
        arrays = {
            name: {key: p.detach().numpy().copy() for key, p in holder.named_parameters(recurse=False)}
            for name, holder in self._holders.items()
        }
        weights = {name: of_layer["weight"] for name, of_layer in arrays.items()}
        biases = {name: of_layer["bias"] for name, of_layer in arrays.items() if "bias" in of_layer}
        return with_weights(self._quantized, self._trained, weights, biases)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A module with parameters of its own; what never changes is shared."""
        shared = (self._quantized, self._inputs, self._trained, self._float_graph, self._integer_graph)
        memo.update({id(value): value for value in shared})
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        twin.__dict__ = copy.deepcopy(self.__dict__, memo)
        twin._initial = twin._versions() if self._versions() == self._initial else []
        return twin

    def _versions(self) -> list[tuple[int, int]]:
        """Something that differs once a parameter was written to or replaced."""
        return [(p.data_ptr(), p._version) for p in self.parameters()]

    def _train_step(self, *inputs: torch.Tensor) -> Any:
        graph = self._float_graph
        if graph is None:
            biases = [layer.bias for layer in self._trained if layer.bias is not None]
            kernels = [layer.kernel for layer in self._trained]
            function = self._quantized["main"]
            graph = TorchGraph(function, inputs=[*kernels, *biases], straight_through=True)
            self._float_graph = graph
        holders: list[Any] = [self._holders[layer.name] for layer in self._trained]
        weights = [
            quantize_weights(holder.weight, layer.format)
            for holder, layer in zip(holders, self._trained, strict=True)
        ]
        return graph(*inputs, *weights, *(h.bias for h in holders if h.bias is not None))

    @torch.no_grad()
    def _evaluate(self, *inputs: torch.Tensor) -> Any:
        present = self._versions()
        graph = self._integer_graph
        if graph is None or self._integers_of != present:
            graph = TorchGraph(fuse(self.to_relax(), self._hardware)["main"])
            self._integer_graph, self._integers_of = graph, present
        return graph(*inputs)


def _parameter(array: npt.NDArray[np.float32]) -> nn.Parameter:
    return nn.Parameter(torch.from_numpy(np.array(array, order="C")))


def _nested(root: nn.Module, name: str) -> nn.Module:
    """The module at a dotted path below `root`, made where it is missing."""
    for part in name.split("."):
        if part not in dict(root.named_children()):
            root.add_module(part, nn.Module())
        root = root.get_submodule(part)
    return root
