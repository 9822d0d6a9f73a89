"""The torch module that `fake_quantize` makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from tvm_vsq.errors import ModelError
from tvm_vsq.frontend import QuantizedModel
from tvm_vsq.graph import constant_array
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.network.inputs import inputs_of
from tvm_vsq.threads import compiling
from tvm_vsq.torch_graph import TorchGraph
from tvm_vsq.torch_graph.batching import run_in_batches
from tvm_vsq.torch_graph.straight_through import quantize_weights
from tvm_vsq.torch_module.module_state import pack, unpack
from tvm_vsq.torch_module.trainable import trainable_layers, with_own_biases, with_parameters
from tvm_vsq.transform.fuse import fuse
from tvm_vsq.tvm_compat import IRModule


class FakeQuantized(QuantizedModel, nn.Module):
    """A quantized network in torch, with the float weights and biases of its quantized layers as parameters.

    In eval mode it computes the integer layers of the compiled network: each layer gives, from the same
    vectors, the same bits as the accelerator. So does the network where no fp32 operator stands between
    layers; such operators are torch's, and may differ from TVM's in the last bit. There are no gradients.

    In train mode it computes in floating point on quantized operands, weights quantized anew in each call,
    with straight-through gradients. Formats and coarse scales of activations stay those of calibration.

    A layer whose weights have the values they had at first keeps the integers that `quantize` chose; other
    weights are quantized by maximum, as in training. So it is with biases, each by itself: the bias of a
    trained layer still holds what was added to make up for the integers chosen at first, unless training
    starts from `QuantConfig.unfitted`. Layers left in fp32, and normalizations, are not trained. Layers that
    share parameters in the model have their own here.

    A state dict holds all that calibration chose besides the parameters: integers, ranges, the order of
    channels (`quantize.reorder`), in which parameters are stored. It is to be loaded as a whole, into what
    `fake_quantize` made of the same network with the same settings, from any calibration data and for any
    number of samples in a run; ModelError and ConfigError name what else differs. Copies and pickles are
    trained apart.

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
        self._hardware = hardware
        self._start_from(with_own_biases(quantized), weights)
        self.layers = _Parameters()
        for name, array in self._initial.items():
            layer, kind = name.rsplit(".", 1)
            _nested(self.layers, layer).register_parameter(kind, nn.Parameter(torch.tensor(array)))

    def _start_from(self, quantized: IRModule, weights: Mapping[str, npt.NDArray[np.float32]]) -> None:
        self._quantized = quantized
        self._weights = {name: np.ascontiguousarray(array) for name, array in weights.items()}
        self._inputs = inputs_of(quantized["main"])
        self._trained = trainable_layers(quantized)
        self._initial: dict[str, npt.NDArray[np.float32]] = {}  # by the parameter's name
        for layer in self._trained:
            self._initial[f"{layer.name}.weight"] = self._weights[layer.name]
            if layer.bias is not None:
                self._initial[f"{layer.name}.bias"] = constant_array(layer.bias)
        self._float_graph: list[TorchGraph] = []  # in lists, as they are no submodules: made when needed
        self._integer_graph: list[tuple[dict[str, Any], TorchGraph]] = []  # of these changed parameters

    @property
    def hardware(self) -> HardwareConfig:
        """The accelerator that computes what this does in eval mode."""
        return self._hardware

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """The network's result for any number of samples.

        Raises InputError for inputs that do not fit or hold NaN or infinity; ModelError, in eval mode, for
        such parameters.
        """
        run = self._train_step if self.training else self._evaluate
        return run_in_batches(run, self._inputs, inputs, named)

    def extra_repr(self) -> str:
        """What `repr` says in front of the layers."""
        inputs = ", ".join(f"{each.name}{list(each.shape)}" for each in self._inputs)
        return (
            f"{self._hardware.label} {self._hardware.notation}, {len(self._trained)} layers with weights, "
            f"inputs {inputs}"
        )

    def to_relax(self) -> IRModule:
        """The quantized module with the parameters' present values; see the class for its integers.

        `tvm_vsq.compile(module, module.hardware)` does this by itself; the results have the same bits.
        """
        with compiling:
            return self._to_relax(self._changed())

    def get_extra_state(self) -> torch.Tensor:
        """For `state_dict`: all that calibration chose, as uint8[n]."""
        return pack(self._quantized, self._hardware, self._weights)

    def set_extra_state(self, state: Any) -> None:
        """For `load_state_dict`. Raises ModelError or ConfigError naming what is not as in this module."""
        self._start_from(*unpack(state, self._quantized, self._hardware))

    def __getstate__(self) -> dict[str, Any]:
        derived = ("_inputs", "_trained", "_initial", "_float_graph", "_integer_graph")
        return {name: value for name, value in self.__dict__.items() if name not in derived}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._start_from(self._quantized, self._weights)

    def _changed(self) -> dict[str, npt.NDArray[np.float32]]:
        """The parameters whose values are not those they had at first, by name; ModelError for NaN."""
        named = self.layers.named_parameters(remove_duplicate=False)
        values = {name: parameter.detach().numpy() for name, parameter in named}
        for name, value in values.items():
            if not np.isfinite(value).all():
                raise ModelError(
                    f"parameter 'layers.{name}' holds NaN or infinite values, which integers cannot "
                    f"represent; where training diverged, lower the learning rate"
                )
        return {
            name: value.copy()
            for name, value in values.items()
            if not np.array_equal(value, self._initial[name])
        }

    def _to_relax(self, changed: Mapping[str, npt.NDArray[np.float32]]) -> IRModule:
        return with_parameters(self._quantized, self._trained, changed) if changed else self._quantized

    def _train_step(self, *inputs: torch.Tensor) -> Any:
        trained = self._trained
        with compiling:
            if not self._float_graph:
                biases = [layer.bias for layer in trained if layer.bias is not None]
                operands = [*(layer.kernel for layer in trained), *biases]
                graph = TorchGraph(self._quantized["main"], inputs=operands, straight_through=True)
                self._float_graph.append(graph)
        parameter = self.layers.get_parameter
        weights = [quantize_weights(parameter(f"{layer.name}.weight"), layer.format) for layer in trained]
        biases = [parameter(f"{layer.name}.bias") for layer in trained if layer.bias is not None]
        return self._float_graph[0](*inputs, *weights, *biases)

    @torch.no_grad()
    def _evaluate(self, *inputs: torch.Tensor) -> Any:
        changed = self._changed()
        with compiling:
            if not self._integer_graph or not _are_equal(changed, self._integer_graph[0][0]):
                graph = TorchGraph(fuse(self._to_relax(changed), self._hardware)["main"])
                self._integer_graph = [(changed, graph)]
            graph = self._integer_graph[0][1]
        return graph(*inputs)


class _Parameters(nn.Module):
    """A name on the way to parameters, or a layer's; `repr` shows their shapes."""

    def extra_repr(self) -> str:
        own = self.named_parameters(recurse=False)
        return ", ".join(f"{name}{list(parameter.shape)}" for name, parameter in own)


def _are_equal(some: Mapping[str, npt.NDArray[Any]], others: Mapping[str, npt.NDArray[Any]]) -> bool:
    return some.keys() == others.keys() and all(np.array_equal(some[name], others[name]) for name in some)


def _nested(root: nn.Module, name: str) -> nn.Module:
    """The module at a dotted path below `root`, made where it is missing."""
    for part in name.split("."):
        if part not in dict(root.named_children()):
            root.add_module(part, _Parameters())
        root = root.get_submodule(part)
    return root
