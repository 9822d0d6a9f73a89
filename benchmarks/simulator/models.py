"""The networks that the comparisons run, in torch and as ONNX graphs, and their accelerator programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

import tvm_vsq
from tvm_vsq.codegen import lower_region
from tvm_vsq.hardware import HardwareConfig, load_hardware
from tvm_vsq.pipeline import regions_of
from tvm_vsq.schedule import shipped_database

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from resnet50 import ResNet50

TOKENS, HIDDEN, WIDE, ENCODERS = 128, 768, 3072, 12


class BertLinear(nn.Module):
    """The linear layers of BERT's encoders, one behind the other: q, k, v, attention output, hidden -> wide,
    wide -> hidden; of BERT-base 72.

    Softmax, layer norm, GELU and the products of two activations are left out, and so is the residual.
    """

    def __init__(self, hidden: int = HIDDEN, wide: int = WIDE, encoders: int = ENCODERS) -> None:
        super().__init__()
        shapes = ([(hidden, hidden)] * 4 + [(hidden, wide), (wide, hidden)]) * encoders
        self.layers = nn.Sequential(*(nn.Linear(*shape) for shape in shapes))
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)  # keeps the activations' variance

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


SHAPES = {"resnet50": (1, 3, 224, 224), "bert": (TOKENS, HIDDEN)}


def network(name: str) -> tuple[nn.Module, np.ndarray]:
    """A seeded model and one float32 input for it."""
    torch.manual_seed(0)
    model = {"resnet50": ResNet50, "bert": BertLinear}[name]().eval()
    return model, np.random.default_rng(0).standard_normal(SHAPES[name], dtype=np.float32)


def quantized(model: nn.Module, sample: np.ndarray, hardware: HardwareConfig) -> Any:
    """The fake-quantized module, calibrated on `sample`; its weights are random, so nothing is fitted."""
    return tvm_vsq.quantize_model(
        model,
        hardware,
        quant=tvm_vsq.QuantConfig.of_hardware(hardware).unfitted(),
        calibration=sample,
        example_inputs=(torch.from_numpy(sample),),
    )


def programs(module: Any, target: str | HardwareConfig) -> list[dict[str, Any]]:
    """Every accelerator program of a fake-quantized module, as `native.create_module` takes it."""
    hardware = load_hardware(target)
    database = shipped_database(hardware)
    return [lower_region(region, hardware, database).to_native() for region in regions_of(module, hardware)]


class Graph:
    """An ONNX graph that is written down node by node; batch norm is folded away, as inference engines do."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self.last = "x"

    def add(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        self.last = f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [self.last], **attributes))
        return self.last

    def constant(self, value: Tensor) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(value.detach().numpy(), name))
        return name

    def conv(self, x: str, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> str:
        factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        weight = self.constant(conv.weight * factor[:, None, None, None])
        bias = self.constant(norm.bias - norm.running_mean * factor)
        pads = [*conv.padding, *conv.padding]
        return self.add("Conv", [x, weight, bias], strides=list(conv.stride), pads=pads)

    def linear(self, x: str, layer: nn.Linear) -> str:
        return self.add("Gemm", [x, self.constant(layer.weight), self.constant(layer.bias)], transB=1)

    def relu(self, x: str) -> str:
        return self.add("Relu", [x])

    def model(self) -> bytes:
        """The serialized model; its output is the last node's."""
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            self._nodes,
            "graph",
            [value("x", TensorProto.FLOAT, self._shape)],
            [value(self.last, TensorProto.FLOAT, None)],
            self._constants,
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        return made.SerializeToString()


def _body(graph: Graph, model: ResNet50) -> str:
    """Everything in front of the average over the image."""
    x = graph.relu(graph.conv("x", model.conv1, model.bn1))
    x = graph.add("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for block in model.layers:
        y = graph.relu(graph.conv(x, block.conv1, block.bn1))
        y = graph.relu(graph.conv(y, block.conv2, block.bn2))
        y = graph.conv(y, block.conv3, block.bn3)
        shortcut = x if isinstance(block.downsample, nn.Identity) else graph.conv(x, *block.downsample)
        x = graph.relu(graph.add("Add", [y, shortcut]))
    return x


def onnx_graphs(name: str, model: Any) -> tuple[dict[str, tuple[int, ...]], dict[str, bytes]]:
    """Input shapes and ONNX models: "whole", all of which the accelerator runs."""
    whole = Graph(SHAPES[name])
    if name == "bert":
        for layer in model.layers:
            whole.linear(whole.last, layer)
        return {"whole": SHAPES[name]}, {"whole": whole.model()}
    y = whole.add("GlobalAveragePool", [_body(whole, model)])
    whole.linear(whole.add("Flatten", [y]), model.fc)
    return {"whole": SHAPES[name]}, {"whole": whole.model()}
