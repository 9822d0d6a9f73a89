"""The light models of onnx with random weights: the smallest one comes in, and what is not right is said."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest

from tvm_vsq.importing import import_checked, import_note
from tvm_vsq.network import layer_names

KERNEL = np.random.default_rng(0).standard_normal((16, 3, 3, 3), np.float32)


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks/onnx"))
    sys.modules.pop("light", None)
    yield importlib.import_module("light")
    sys.modules.pop("light", None)


@pytest.mark.large
def test_squeezenet_computes_what_onnxruntime_computes(light):
    model = light.with_random_weights(onnx.load(light.paths()["squeezenet"]))
    module = import_checked(model)
    assert "checked beside the ONNX model" in import_note(module)
    kernels = [node.input[1] for node in model.graph.node if node.op_type == "Conv"]
    pools = [f"max_pool2d_{index}" for index in range(3)]  # SqueezeNet 1.1 has three, and one over the image
    pools.append("avg_pool2d_0")
    assert sorted(layer_names(module).values()) == sorted([*kernels, *pools, "softmax_0"])


def test_weights_are_random_and_statistics_those_of_an_input(light):
    bare = onnx.load(light.paths()["shufflenet"])
    model, again, other = (light.with_random_weights(bare, seed) for seed in (0, 0, 1))
    onnx.checker.check_model(model)
    assert model == again
    assert all(node.op_type != "ConstantOfShape" for node in model.graph.node)
    one, two = (
        {t.name: onnx.numpy_helper.to_array(t) for t in m.graph.initializer if t.data_type == 1}
        for m in (model, other)
    )
    assert {name: list(array.shape) for name, array in one.items()} == light.constant_shapes(bare.graph)
    assert all((one[name] != two[name]).any() for name in one)
    norm = [node for node in model.graph.node if node.op_type == "BatchNormalization"][-1]
    model.graph.output.append(onnx.ValueInfoProto(name=norm.input[0]))
    model.graph.output.append(onnx.ValueInfoProto(name=norm.output[0]))
    x = light.sample(model, 1, seed=3)
    _, before, after = light.run_onnx(model, x)
    np.testing.assert_allclose(one[norm.input[3]], before.mean((0, 2, 3)), rtol=1e-2, atol=1e-3)
    assert after.std((0, 2, 3)) == pytest.approx(one[norm.input[1]], rel=1e-2)  # its scales


def tiny(onnx_models, kind: str, **attributes) -> onnx.ModelProto:
    nodes = [
        onnx_models.node("Conv", ["x", "conv.weight"], "a", pads=[1, 1, 1, 1]),
        onnx_models.node(kind, ["a"], "y", **attributes),
    ]
    return onnx_models.model(nodes, {"conv.weight": KERNEL}, [1, 3, 8, 8], rank=4, opset=9)


def test_a_network_is_right_wrong_or_refused_by_node(light, onnx_models, monkeypatch):
    right = light.judge("tiny", tiny(onnx_models, "Relu"))
    assert (right.verdict, right.layers, right.opset, right.detail) == ("right", 1, 9, "")
    assert right.sqnr_db > 30
    assert float(right.difference) < 1e-5
    refused = light.judge("tiny", tiny(onnx_models, "Multinomial", sample_size=1))
    assert (refused.verdict, refused.layers) == ("refused", 0)
    assert "Multinomial 'y_node'" in refused.detail
    monkeypatch.setattr(light, "LEAST_DB", right.sqnr_db + 1)
    wrong = light.judge("tiny", tiny(onnx_models, "Relu"))
    assert (wrong.verdict, wrong.detail) == ("wrong", f"{right.sqnr_db:.1f} dB after compile")
