"""ONNX models: what arrives computes what onnxruntime computes, and what cannot arrive is refused by name."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from tests.onnx_models import run as run_onnx

from tvm_vsq.errors import ModelError
from tvm_vsq.frontend import import_model
from tvm_vsq.network import layer_names


def convolutions(onnx_models, x=(2, 3, 8, 8), opset=21):
    rng = np.random.default_rng(0)
    n = onnx_models.node
    nodes = [
        n(
            "Conv",
            ["x", "stem.weight", "stem.bias"],
            "a",
            kernel_shape=[3, 3],
            pads=[1, 1, 1, 1],
            strides=[2, 2],
        ),
        n("Clip", ["a", "zero", "six"], "b") if opset >= 11 else n("Clip", ["a"], "b", min=0.0, max=6.0),
        n("Conv", ["b", "dw"], "c", kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=10),
        n("BatchNormalization", ["c", "scale", "shift", "mean", "var"], "d", epsilon=1e-3),
        n("Relu", ["d"], "e"),
        n("GlobalAveragePool", ["e"], "f"),
        n("Flatten", ["f"], "g"),
        n("Gemm", ["g", "onnx::Gemm_7", "head.bias"], "y", transB=1, alpha=0.5),
    ]
    constants = {
        "stem.weight": rng.standard_normal((10, 3, 3, 3), np.float32) * 3,
        "stem.bias": rng.standard_normal(10, np.float32),
        "zero": np.float32(0).reshape(()),
        "six": np.float32(6).reshape(()),
        "dw": rng.standard_normal((10, 1, 3, 3), np.float32),
        "scale": rng.uniform(0.5, 2, 10).astype(np.float32),
        "shift": rng.standard_normal(10, np.float32),
        "mean": rng.standard_normal(10, np.float32),
        "var": rng.uniform(0.5, 2, 10).astype(np.float32),
        "onnx::Gemm_7": rng.standard_normal((4, 10), np.float32),
        "head.bias": rng.standard_normal(4, np.float32),
    }
    return onnx_models.model(nodes, constants, list(x), opset=opset)


@pytest.mark.parametrize("opset", [9, 13, 21])
def test_a_model_computes_what_onnxruntime_computes(networks, onnx_models, opset):
    model = convolutions(onnx_models, opset=opset)
    x = np.random.default_rng(1).standard_normal((2, 3, 8, 8), np.float32)
    (value,) = networks.run_tvm(import_model(model), x)
    np.testing.assert_allclose(value, run_onnx(model, x)[0], rtol=1e-4, atol=1e-5)


def test_layers_are_named_after_their_weights_or_else_their_node(onnx_models):
    module = import_model(convolutions(onnx_models))
    assert list(layer_names(module).values()) == ["stem", "dw", "avg_pool2d_0", "y_node"]


def test_clip_becomes_part_of_the_layer(onnx_models):
    script = import_model(convolutions(onnx_models)).script()
    assert "R.clip" in script
    assert "call_tir" not in script


def test_a_model_with_its_weights_in_another_file(networks, onnx_models, tmp_path):
    model = convolutions(onnx_models)
    x = np.random.default_rng(1).standard_normal((2, 3, 8, 8), np.float32)
    expected = run_onnx(model, x)[0]
    path = tmp_path / "net.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    (value,) = networks.run_tvm(import_model(path), x)
    np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ModelError, match="are in a file beside the model: give the model's path"):
        import_model(onnx.load(path, load_external_data=False))


def test_example_inputs_fix_a_dynamic_batch(onnx_models):
    model = convolutions(onnx_models, ("batch", 3, 8, 8))
    module = import_model(model, np.zeros((5, 3, 8, 8), np.float32))
    assert [int(n) for n in module["main"].params[0].ty.shape] == [5, 3, 8, 8]
    assert (
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    )  # the user's own is as it was


def test_a_dynamic_shape_without_example_inputs(onnx_models):
    with pytest.raises(
        ModelError, match=r"input 'x' has a dynamic shape \[batch, 3, 8, 8\]: give example_inputs"
    ):
        import_model(convolutions(onnx_models, ("batch", 3, 8, 8)))


@pytest.mark.parametrize("reader", ["Conv", "MaxPool"])
def test_padding_becomes_part_of_the_convolution_or_stays(networks, onnx_models, reader):
    rng = np.random.default_rng(0)
    constants = {
        "pads": np.array([0, 0, 1, 2, 0, 0, 0, 1]),
        "w": rng.standard_normal((4, 3, 3, 3), np.float32),
    }
    window = {"kernel_shape": [3, 3], "pads": [1, 0, 0, 0]}
    nodes = [
        onnx_models.node("Pad", ["x", "pads"], "p"),
        onnx_models.node(reader, ["p", "w"] if reader == "Conv" else ["p"], "y", **window),
    ]
    model = onnx_models.model(nodes, constants, [1, 3, 6, 6], rank=4)
    assert ("R.nn.pad" in import_model(model).script()) == (reader == "MaxPool")
    x = rng.standard_normal((1, 3, 6, 6), np.float32)
    (value,) = networks.run_tvm(import_model(model), x)
    np.testing.assert_allclose(value, run_onnx(model, x)[0], rtol=1e-4, atol=1e-5)


def test_widths_that_are_computed_from_constants(networks, onnx_models):
    # as torch writes ZeroPad2d
    rng = np.random.default_rng(0)
    n = onnx_models.node
    tensor = onnx.numpy_helper.from_array
    nodes = [
        onnx.helper.make_node("Constant", [], ["given"], value=tensor(np.array([2, 1, 0, 1]))),
        n("ConstantOfShape", ["four"], "none", value=tensor(np.array([0]))),
        n("Concat", ["given", "none"], "both", axis=0),
        n("Reshape", ["both", "two_columns"], "columns"),
        n("Slice", ["columns", "last", "first", "zero", "last"], "reversed"),
        n("Transpose", ["reversed"], "transposed", perm=[1, 0]),
        n("Reshape", ["transposed", "last"], "flat"),
        n("Cast", ["flat"], "pads", to=onnx.TensorProto.INT64),
        n("Pad", ["x", "pads"], "p"),
        n("Conv", ["p", "w"], "y", kernel_shape=[3, 3]),
    ]
    constants = {
        "four": np.array([4]),
        "two_columns": np.array([-1, 2]),
        "zero": np.array([0]),
        "last": np.array([-1]),
        "first": np.array([-(2**62)]),
        "w": rng.standard_normal((4, 3, 3, 3), np.float32),
    }
    model = onnx_models.model(nodes, constants, [1, 3, 6, 6], rank=4)
    x = rng.standard_normal((1, 3, 6, 6), np.float32)
    (value,) = networks.run_tvm(import_model(model), x)
    assert value.shape == (1, 4, 5, 7)
    np.testing.assert_allclose(value, run_onnx(model, x)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("condition", [True, False, None], ids=["then", "else", "unknown"])
def test_a_branch_is_taken_if_constants_tell_which(networks, onnx_models, condition):
    bodies = {
        f"{name}_branch": onnx.helper.make_graph(
            [onnx.helper.make_node(kind, ["x"], [name])],
            name,
            [],
            [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1])],
        )
        for name, kind in (("then", "Relu"), ("else", "Neg"))
    }
    constants = {"c": np.array(condition)} if condition is not None else {"zero": np.zeros(1, np.float32)}
    nodes = [onnx_models.node("If", ["c"], "y", **bodies)]
    if condition is None:
        nodes = [onnx_models.node("Greater", ["x", "zero"], "c"), *nodes]
    model = onnx_models.model(nodes, constants, [1], rank=1)
    if condition is None:
        with pytest.raises(ModelError, match="If 'y_node' branches or loops; the model must be straight"):
            import_model(model)
        return
    x = np.array([-3], np.float32)
    np.testing.assert_array_equal(networks.run_tvm(import_model(model), x)[0], [0 if condition else 3])


@pytest.mark.parametrize("given", [(2, 3, 8, 9), (2, 3, 8)])
def test_example_inputs_of_another_shape(onnx_models, given):
    with pytest.raises(ModelError, match=r"example_inputs\[0\] has shape .* input 'x' is \[2, 3, 8, 8\]"):
        import_model(convolutions(onnx_models), np.zeros(given, np.float32))


def test_example_inputs_of_another_count(onnx_models):
    zeros = np.zeros((2, 3, 8, 8), np.float32)
    with pytest.raises(ModelError, match="example_inputs holds 2 tensors, the model has 1 inputs: x"):
        import_model(convolutions(onnx_models), (zeros, zeros))


def test_example_inputs_that_are_no_arrays(onnx_models):
    with pytest.raises(ModelError, match=r"example_inputs\[0\] must be an array, not str"):
        import_model(convolutions(onnx_models), ("x",))


def test_a_file_that_is_missing_or_no_model(tmp_path):
    with pytest.raises(ModelError, match=r"there is no model file '.*none\.onnx'"):
        import_model(tmp_path / "none.onnx")
    path = tmp_path / "text.onnx"
    path.write_text("no model")
    with pytest.raises(ModelError, match=r"text\.onnx' is not an ONNX model: .*; export it again"):
        import_model(str(path))


def test_a_model_that_is_not_valid(onnx_models):
    model = onnx_models.model([onnx_models.node("Relu", ["nothing"], "y")], {}, [1])
    with pytest.raises(ModelError, match=r"the ONNX model is not valid: .*; export it again"):
        import_model(model)


def test_an_operator_that_tvm_does_not_know(onnx_models):
    model = onnx_models.model([onnx_models.node("Det", ["x"], "y")], {}, [1, 2, 2])
    with pytest.raises(ModelError, match="Det 'y_node' has no form in TVM: NotImplementedError"):
        import_model(model)


def test_an_operator_of_another_domain(onnx_models):
    model = onnx_models.model([onnx_models.node("Gelu", ["x"], "y", domain="com.microsoft")], {}, [1])
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    with pytest.raises(ModelError, match=r"operator com\.microsoft\.Gelu \('y_node'\) is none of ONNX's own"):
        import_model(model)


def test_float64_weights(onnx_models):
    nodes = [
        onnx_models.node("Cast", ["x"], "h", to=onnx.TensorProto.DOUBLE),
        onnx_models.node("MatMul", ["h", "w"], "z"),
        onnx_models.node("Cast", ["z"], "y", to=onnx.TensorProto.FLOAT),
    ]
    model = onnx_models.model(nodes, {"w": np.ones((2, 2), np.float64)}, [1, 2])
    with pytest.raises(ModelError, match="weights of layer 'w' are float64; weights must be float32"):
        import_model(model)
