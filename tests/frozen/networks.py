"""Networks whose compilation is frozen, as fp32 Relax modules: seeded, and the same on every machine.

Coarse scales come from ranges that are measured in fp32, and the last bits of an fp32 sum depend on the
processor. So channel 0 of every layer, the *carrier*, has weights of zero and a bias that nothing in the
tensor exceeds: the range of each tensor is that bias, which no sum has a part in. How large a carrier must
be, and how weights are scaled, comes from running the network while it is built; both are rounded to powers
of two (or 1.5 times one), and a network in which one is close to another choice is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import floor, frexp, log2
from typing import Any

import numpy as np
import torch
import tvm
from torch.nn import functional
from tvm import relax

Array = np.ndarray[Any, np.dtype[np.float32]]

RANDOM_NETWORKS, RANDOM_LAYERS = 5, 16
"""So many small networks of so many random layers."""


@dataclass(frozen=True)
class Network:
    """module: fp32, its weights attached as parameters, whose names name the layers.

    calibration, inputs: arrays for its only input.
    """

    module: tvm.ir.IRModule
    calibration: Array
    inputs: Array


@dataclass(frozen=True, eq=False)
class Tensor:
    """A variable of the network with its value on the calibration data, NCHW or [..., C]."""

    var: Any
    value: torch.Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.value.shape)


@dataclass
class Builder:
    """Makes a network, layer by layer, from its input `x`."""

    shape: tuple[int, ...]
    seed: int
    _builder: Any = field(default_factory=relax.BlockBuilder)
    _weights: list[tuple[Any, Array]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        variable = relax.Var("x", relax.TensorType(self.shape, "float32"))
        self.x = Tensor(variable, torch.from_numpy(self._data(1)))

    def finish(self, body: Callable[[Builder], list[Tensor]]) -> Network:
        """The network with the results of `body`."""
        builder = self._builder
        with builder.function("main"), torch.inference_mode():
            with builder.dataflow():
                results = [tensor.var for tensor in body(self)]
                result = builder.emit_output(relax.Tuple(results) if len(results) > 1 else results[0])
            builder.emit_func_output(result, [self.x.var, *(var for var, _ in self._weights)])
        module = builder.get()
        weights = [tvm.runtime.tensor(array) for _, array in self._weights]
        module["main"] = module["main"].with_attrs({"num_input": 1, "params": weights})
        return Network(module, self._data(1), self._data(2))

    def _data(self, seed: int) -> Array:
        values = np.random.default_rng([self.seed, seed]).integers(-127, 128, self.shape)
        return values.astype(np.float32) / np.float32(32)

    def conv(
        self,
        x: Tensor,
        name: str,
        channels: int,
        kernel: tuple[int, int],
        padding: tuple[int, int, int, int] = (0, 0, 0, 0),
        residual: Tensor | None = None,
        stride: Any = 1,
        dilation: Any = 1,
    ) -> Tensor:
        """A convolution of NCHW with bias, plus `residual`. padding: top, left, bottom, right."""
        top, left, bottom, right = padding
        padded = functional.pad(x.value, (left, right, top, bottom))
        weights = self._random_weights((channels, x.shape[1], *kernel))
        y = functional.conv2d(padded, torch.from_numpy(weights), stride=stride, dilation=dilation)
        return self._layer(
            name,
            weights,
            y,
            lambda w: relax.op.nn.conv2d(x.var, w, stride, list(padding), dilation),
            residual,
        )

    def linear(self, x: Tensor, name: str, channels: int, residual: Tensor | None = None) -> Tensor:
        """A linear layer on the last axis, with bias, plus `residual`."""
        weights = self._random_weights((channels, x.shape[-1]))
        y = functional.linear(x.value, torch.from_numpy(weights))
        return self._layer(
            name,
            weights,
            y,
            lambda w: relax.op.matmul(x.var, self._emit(relax.op.permute_dims(w))),
            residual,
        )

    def relu(self, x: Tensor) -> Tensor:
        return Tensor(self._emit(relax.op.nn.relu(x.var)), torch.relu(x.value))

    def clip(self, x: Tensor, high: float) -> Tensor:
        return Tensor(self._emit(relax.op.clip(x.var, 0.0, high)), x.value.clamp(0, high))

    def max_pool(self, x: Tensor) -> Tensor:
        """3 x 3, stride 2, padding 1."""
        value = functional.max_pool2d(x.value, 3, 2, 1)
        return Tensor(self._emit(relax.op.nn.max_pool2d(x.var, (3, 3), (2, 2), (1, 1))), value)

    def mean(self, x: Tensor) -> Tensor:
        """NCHW to [N, C]."""
        return Tensor(self._emit(relax.op.mean(x.var, axis=[2, 3])), x.value.mean((2, 3)))

    def _layer(
        self,
        name: str,
        weights: Array,
        y: torch.Tensor,
        call: Callable[[Any], Any],
        residual: Tensor | None,
    ) -> Tensor:
        """The layer with `weights`, whose result is `y` before scaling: scaled, with bias and residual."""
        axis = 1 if weights.ndim == 4 else y.ndim - 1
        size = [-1 if at == axis else 1 for at in range(y.ndim)] if weights.ndim == 4 else [-1]
        factor = _scale(float(y.std()))
        weights, y = weights * np.float32(factor), y * factor
        bias = self.rng.integers(-64, 65, weights.shape[0]).astype(np.float32) / np.float32(128)
        bias[0] = 0
        total = y + torch.from_numpy(bias.reshape(size))
        if residual is not None:
            total = total + residual.value
        inherited = 0.0 if residual is None else float(residual.value.select(axis, 0).max())
        others = total.narrow(axis, 1, total.shape[axis] - 1)
        bias[0] = _carrier(float(others.abs().max())) - inherited
        total.select(axis, 0).add_(float(bias[0]))
        variable = self._emit(call(self._parameter(f"{name}.weight", weights)))
        parameter = self._parameter(f"{name}.bias", bias.reshape(size))
        variable = self._emit(relax.op.add(variable, parameter))
        if residual is not None:
            operands = (variable, residual.var) if self.rng.random() < 0.5 else (residual.var, variable)
            variable = self._emit(relax.op.add(*operands))
        return Tensor(variable, total)

    def _random_weights(self, shape: tuple[int, ...]) -> Array:
        """[K, C, ...]: cubes of a uniform variable, so that vectors differ in their scales."""
        uniform = self.rng.integers(-127, 128, shape, np.int8).astype(np.float32) / np.float32(128)
        weights = uniform * uniform * uniform
        weights[0] = 0
        return weights

    def _emit(self, value: Any) -> Any:
        return self._builder.emit(value)

    def _parameter(self, name: str, array: Array) -> Any:
        var = relax.Var(name, relax.TensorType(array.shape, "float32"))
        self._weights.append((var, array))
        return var


def _scale(deviation: float) -> float:
    """The power of two that brings a standard deviation nearest to 1."""
    exponent = -log2(deviation)
    _refuse_close_calls(abs(exponent - floor(exponent) - 0.5))
    return 2.0 ** round(exponent)


def _carrier(largest: float) -> float:
    """The smallest 2^n or 1.5 * 2^n above `largest`."""
    mantissa, exponent = frexp(largest)
    _refuse_close_calls(min(abs(mantissa - border) for border in (0.5, 0.75, 1.0)))
    return (0.75 if mantissa < 0.75 else 1.0) * 2.0**exponent


def _refuse_close_calls(distance: float) -> None:
    if distance < 1e-4:
        raise ValueError("a rounding of this network may go either way on another machine; use another seed")


def _resnet8(net: Builder) -> list[Tensor]:
    around = (1, 1, 1, 1)
    y = net.relu(net.conv(net.x, "conv1", 16, (3, 3), around))
    for index, (channels, stride) in enumerate([(16, 1), (32, 2), (64, 2)], 1):
        name, x = f"layer{index}", y
        y = net.relu(net.conv(x, f"{name}.conv1", channels, (3, 3), around, stride=stride))
        if channels != x.shape[1]:
            x = net.conv(x, f"{name}.downsample.0", channels, (1, 1), stride=stride)
        y = net.relu(net.conv(y, f"{name}.conv2", channels, (3, 3), around, x))
    return [net.linear(net.mean(y), "fc", 10)]


def _resnet50(net: Builder) -> list[Tensor]:
    y = net.relu(net.conv(net.x, "conv1", 64, (7, 7), (3, 3, 3, 3), stride=2))
    y = net.max_pool(y)
    for stage, (width, count) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)], 1):
        for index in range(count):
            name, x, stride = f"layer{stage}.{index}", y, 2 if stage > 1 and index == 0 else 1
            y = net.relu(net.conv(x, f"{name}.conv1", width, (1, 1)))
            y = net.relu(net.conv(y, f"{name}.conv2", width, (3, 3), (1, 1, 1, 1), stride=stride))
            if x.shape[1] != 4 * width:
                x = net.conv(x, f"{name}.downsample.0", 4 * width, (1, 1), stride=stride)
            y = net.relu(net.conv(y, f"{name}.conv3", 4 * width, (1, 1), residual=x))
    return [net.linear(net.mean(y), "fc", 1000)]


def _bert(net: Builder, encoders: int) -> list[Tensor]:
    """The linear layers one behind the other, without what lies between them."""
    y = net.x
    for encoder in range(encoders):
        for name, channels in [
            ("attention.self.query", 768),
            ("attention.self.key", 768),
            ("attention.self.value", 768),
            ("attention.output.dense", 768),
            ("intermediate.dense", 3072),
            ("output.dense", 768),
        ]:
            y = net.linear(y, f"encoder.layer.{encoder}.{name}", channels)
    return [y]


def _random_convs(net: Builder) -> list[Tensor]:
    rng, y, results = net.rng, net.x, []
    for index in range(RANDOM_LAYERS):
        name, dilation = f"layer{index}", _draw(rng, 1, 2, 2)
        if index > 0 and rng.random() < 0.3:
            padding = (dilation[0], dilation[1]) * 2
            result = net.conv(y, name, y.shape[1], (3, 3), padding, y, dilation=dilation)
        else:
            padding = _draw(rng, 0, 3, 4)
            spans = [y.shape[2 + at] + padding[at] + padding[2 + at] for at in (0, 1)]
            largest = [min(5, (span - 1) // step + 1) for span, step in zip(spans, dilation, strict=True)]
            kernel = (int(rng.integers(1, largest[0] + 1)), int(rng.integers(1, largest[1] + 1)))
            # small images stay as large as they are
            stride = [int(rng.integers(1, 3)) if span > 6 else 1 for span in spans]
            channels = int(rng.integers(2, 70))
            result = net.conv(y, name, channels, kernel, padding, stride=stride, dilation=dilation)
        y = _random_end(net, result)
        if rng.random() < 0.15:
            results.append(y)  # is a result of the network besides
    return results if y in results else [*results, y]


def _random_linears(net: Builder) -> list[Tensor]:
    rng, y = net.rng, net.x
    for index in range(RANDOM_LAYERS):
        has_residual = index > 0 and rng.random() < 0.3
        channels = y.shape[-1] if has_residual else int(rng.integers(2, 200))
        y = _random_end(net, net.linear(y, f"layer{index}", channels, y if has_residual else None))
    return [y]


def _random_end(net: Builder, x: Tensor) -> Tensor:
    end = net.rng.choice(["relu", "clip", "nothing"], p=[0.5, 0.25, 0.25])
    return net.relu(x) if end == "relu" else net.clip(x, 2.0) if end == "clip" else x


def _draw(rng: np.random.Generator, low: int, high: int, count: int) -> tuple[int, ...]:
    return tuple(int(n) for n in rng.integers(low, high + 1, count))


def _random(number: int) -> Network:
    rng, seed = np.random.default_rng(number), 100 + number
    if number == RANDOM_NETWORKS - 1:
        return Builder((*_draw(rng, 1, 12, 2), *_draw(rng, 1, 100, 1)), seed).finish(_random_linears)
    return Builder((*_draw(rng, 1, 3, 1), *_draw(rng, 1, 40, 1), *_draw(rng, 7, 20, 2)), seed).finish(
        _random_convs
    )


NETWORKS: dict[str, Callable[[], Network]] = {
    "resnet8": lambda: Builder((1, 1, 28, 28), 8).finish(_resnet8),
    "resnet50": lambda: Builder((1, 3, 224, 224), 50).finish(_resnet50),
    "bert-encoder": lambda: Builder((128, 768), 1).finish(partial(_bert, encoders=1)),
    "bert": lambda: Builder((128, 768), 12).finish(partial(_bert, encoders=12)),
    **{f"random{number}": partial(_random, number) for number in range(RANDOM_NETWORKS)},
}
