"""QuantizeLinear and DequantizeLinear leave the graph; what they say of weights and inputs is kept."""

from __future__ import annotations

import warnings

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.onnx_models import run as run_onnx

import tvm_vsq
from tvm_vsq.errors import ModelError, VsqWarning
from tvm_vsq.frontend import import_model
from tvm_vsq.frontend.given import given_limits, given_weights
from tvm_vsq.importing import import_checked


def agrees_with_onnxruntime(networks, model, rank=2):
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    x = np.random.default_rng(1).standard_normal(shape, np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VsqWarning)
        (value,) = networks.run_tvm(import_model(model), x)
    np.testing.assert_allclose(value, run_onnx(model, x, optimized=False)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", ["Gemm", "Gemm0", "MatMul", "Transpose"])
def test_two_level_weights_arrive_as_they_are(networks, onnx_models, form):
    q, s, gamma, value = onnx_models.two_level(np.random.default_rng(0), (12, 40))
    model = onnx_models.dense(q, s, gamma, form)
    module = import_model(model)
    found = given_weights(module)["fc"]
    assert found.is_two_level
    assert found.block_size == 16
    np.testing.assert_array_equal(found.elements, q)
    np.testing.assert_array_equal(found.scales, s)
    np.testing.assert_array_equal(found.gamma, gamma)
    np.testing.assert_allclose(found.restored(), value, rtol=1e-6)
    agrees_with_onnxruntime(networks, model)


def test_two_level_kernels_arrive_with_their_channels_last(networks, onnx_models):
    q, s, gamma, _ = onnx_models.two_level(np.random.default_rng(0), (5, 3, 3, 20))  # K, R, S, C
    n = onnx_models.node
    nodes = [
        n("DequantizeLinear", ["s", "gamma"], "scale", axis=0),
        n("DequantizeLinear", ["q", "scale"], "w", axis=1, block_size=16),
        n("Conv", ["x", "w"], "y", kernel_shape=[3, 3]),
    ]
    constants = {"q": onnx_models.int4(q.transpose(0, 3, 1, 2)), "s": s.transpose(0, 3, 1, 2), "gamma": gamma}
    model = onnx_models.model(nodes, constants, [1, 20, 6, 6], rank=4)
    found = given_weights(import_model(model))["q"]
    np.testing.assert_array_equal(found.elements, q)
    np.testing.assert_array_equal(found.scales, s)
    agrees_with_onnxruntime(networks, model)


def test_two_level_kernels_of_sequences_arrive_as_those_of_images(networks, onnx_models):
    q, s, gamma, _ = onnx_models.two_level(np.random.default_rng(0), (5, 3, 20))  # K, S, C
    n = onnx_models.node
    nodes = [
        n("DequantizeLinear", ["s", "gamma"], "scale", axis=0),
        n("DequantizeLinear", ["q", "scale"], "w", axis=1, block_size=16),
        n("Conv", ["x", "w"], "y", kernel_shape=[3]),
    ]
    constants = {"q": onnx_models.int4(q.transpose(0, 2, 1)), "s": s.transpose(0, 2, 1), "gamma": gamma}
    model = onnx_models.model(nodes, constants, [8, 20, 6], rank=3)
    found = given_weights(import_model(model))["q"]
    np.testing.assert_array_equal(found.elements, q[:, None])
    np.testing.assert_array_equal(found.scales, s[:, None])
    agrees_with_onnxruntime(networks, model)
    calibration = np.random.default_rng(1).standard_normal((8, 20, 6), np.float32)
    exe = tvm_vsq.compile(model, calibration=calibration)
    np.testing.assert_array_equal(exe(calibration), exe.reference(calibration))


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 6),
    channels=st.integers(2, 40),
    block_size=st.sampled_from([2, 8, 16, 32]),
    axis=st.sampled_from([0, 1, -1]),
    zero_point=st.booleans(),
    transposed=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_blocks_of_any_shape_restore_what_onnxruntime_computes(
    onnx_models, rows, channels, block_size, axis, zero_point, transposed, seed
):
    rng = np.random.default_rng(seed)
    shape = (rows, channels) if transposed else (channels, rows)
    blocks = [-(-n // block_size) if i == axis % 2 else n for i, n in enumerate(shape)]
    constants = {
        "q": rng.integers(0, 16, shape).astype(np.uint8),
        "s": rng.uniform(0.1, 1, blocks).astype(np.float32),
        "z": rng.integers(0, 16, blocks).astype(np.uint8),
    }
    operands = ["q", "s", "z"] if zero_point else ["q", "s"]
    nodes = [
        onnx_models.node("DequantizeLinear", operands, "w", axis=axis, block_size=block_size),
        onnx_models.node("Gemm", ["x", "w"], "y", transB=int(transposed)),
    ]
    model = onnx_models.model(nodes, constants, [channels, channels])
    expected = run_onnx(model, np.eye(channels, dtype=np.float32), optimized=False)[0].T  # as [K, C]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = given_weights(import_model(model))
    if axis % 2 == (1 if transposed else 0):  # along the reduction
        np.testing.assert_allclose(found["q"].restored(), expected, rtol=1e-6)
    else:
        assert not found
        assert any("blocks of 'w' do not run along the input channels" in str(w.message) for w in caught)


def test_blocks_that_fit_another_axis_than_the_declared_one_are_taken_along_it(onnx_models):
    q, s, gamma, value = onnx_models.two_level(np.random.default_rng(0), (12, 40))
    model = onnx_models.dense(q, s, gamma)
    attribute = next(a for a in model.graph.node[1].attribute if a.name == "axis")
    attribute.i = 0
    with pytest.warns(
        VsqWarning, match=r"axis=0, but scales \[12, 3\] are blocks along axis 1 of \[12, 40\]"
    ):
        found = given_weights(import_model(model))["fc"]
    np.testing.assert_allclose(found.restored(), value, rtol=1e-6)


def per_channel(onnx_models, zero: int, kind=np.int8, axis=0):
    rng = np.random.default_rng(0)
    constants = {
        "q": rng.integers(0, 8, (6, 20)).astype(kind),
        "s": rng.uniform(0.1, 1, 6).astype(np.float32),
        "z": np.full(6, zero, kind),
    }
    nodes = [
        onnx_models.node("DequantizeLinear", ["q", "s", "z"], "w", axis=axis),
        onnx_models.node("Gemm", ["x", "w"], "y", transB=1),
    ]
    return onnx_models.model(nodes, constants, [3, 20]), constants


@pytest.mark.parametrize(("zero", "kind"), [(0, np.int8), (3, np.uint8)])
def test_one_scale_a_channel_is_the_coarse_scale(networks, onnx_models, zero, kind):
    model, constants = per_channel(onnx_models, zero, kind)
    found = given_weights(import_model(model))["q"]
    assert found.is_two_level
    np.testing.assert_array_equal(found.elements, constants["q"].astype(int) - zero)
    np.testing.assert_array_equal(found.scales, np.ones((6, 1)))
    np.testing.assert_array_equal(found.gamma, constants["s"])
    agrees_with_onnxruntime(networks, model)


def test_one_scale_a_tensor_with_quantization_in_the_graph(networks, onnx_models):
    w = np.random.default_rng(0).standard_normal((20, 6), np.float32)
    constants = {"w0": w, "s": np.float32(0.02).reshape(()), "z": np.int8(0).reshape(())}
    nodes = [
        onnx_models.node("QuantizeLinear", ["w0", "s", "z"], "q"),
        onnx_models.node("DequantizeLinear", ["q", "s", "z"], "w"),
        onnx_models.node("MatMul", ["x", "w"], "y"),
    ]
    model = onnx_models.model(nodes, constants, [3, 20])
    found = given_weights(import_model(model))["w0"]
    np.testing.assert_array_equal(found.elements, np.clip(np.rint(w / np.float32(0.02)), -128, 127).T)
    assert (found.gamma == np.float32(0.02)).all()
    agrees_with_onnxruntime(networks, model)


def activations(onnx_models, scale: np.ndarray, zero: np.ndarray, between: str = "") -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    constants = {"w": rng.standard_normal((20, 6), np.float32), "s": scale, "z": zero}
    nodes = [
        onnx_models.node("QuantizeLinear", ["x", "s", "z"], "q"),
        onnx_models.node("DequantizeLinear", ["q", "s", "z"], "x2"),
        onnx_models.node(between or "Identity", ["x2"], "x3"),
        onnx_models.node("MatMul", ["x3", "w"], "y"),
    ]
    return onnx_models.model(nodes, constants, [3, 20])


@pytest.mark.parametrize(
    ("zero", "limit"), [(np.int8(0), 127), (np.uint8(100), 155), (np.uint8(0), 255), (np.int8(-128), 255)]
)
def test_the_scale_of_a_layers_input_is_its_range(onnx_models, zero, limit):
    module = import_model(activations(onnx_models, np.float32(0.5).reshape(()), zero.reshape(())))
    assert given_limits(module) == {"w": 0.5 * limit}
    assert "quantize" not in module.script()


@pytest.mark.parametrize("zero", [np.uint8(0), np.int8(-128)])
def test_a_range_from_zero_still_clips_at_zero(networks, onnx_models, zero):
    # onnxruntime's quantizer drops a Relu or Relu6 in front of it
    model = activations(onnx_models, np.float32(6 / 255).reshape(()), zero.reshape(()))
    x = np.linspace(-9, 9, 60, dtype=np.float32).reshape(3, 20)
    (value,) = networks.run_tvm(import_model(model), x)
    weights = onnx.numpy_helper.to_array(model.graph.initializer[0])
    np.testing.assert_allclose(value, np.clip(x, 0, 6) @ weights, rtol=1e-4, atol=1e-4)


def test_scales_of_other_activations_are_reported(onnx_models):
    model = activations(onnx_models, np.float32(0.5).reshape(()), np.int8(0).reshape(()), "Tanh")
    with pytest.warns(VsqWarning, match="the model quantizes x, but not .* these ranges are calibrated anew"):
        module = import_model(model)
    assert not given_limits(module)


def test_several_scales_of_an_activation_are_reported(onnx_models):
    model = activations(onnx_models, np.ones(20, np.float32), np.zeros(20, np.int8))
    with pytest.warns(VsqWarning, match="the model quantizes x, but not with one scale"):
        import_model(model)


def test_quantization_of_the_result_is_taken_out_and_reported(networks, onnx_models):
    rng = np.random.default_rng(0)
    constants = {
        "w": rng.standard_normal((20, 6), np.float32),
        "s": np.float32(0.5).reshape(()),
        "o": np.int8(0).reshape(()),
    }
    nodes = [
        onnx_models.node("MatMul", ["x", "w"], "z"),
        onnx_models.node("QuantizeLinear", ["z", "s", "o"], "q"),
        onnx_models.node("DequantizeLinear", ["q", "s", "o"], "y"),
    ]
    with pytest.warns(VsqWarning, match="the model quantizes z, but not"):
        module = import_model(onnx_models.model(nodes, constants, [3, 20]))
    x = rng.standard_normal((3, 20), np.float32)
    np.testing.assert_allclose(networks.run_tvm(module, x)[0], x @ constants["w"], rtol=1e-4, atol=1e-5)


def refused(onnx_models, nodes, constants, message, x=(3, 20)):
    with pytest.raises(ModelError, match=message):
        import_model(onnx_models.model(nodes, constants, list(x)))


def test_integer_operators_are_refused(onnx_models):
    nodes = [
        onnx_models.node("Cast", ["x"], "i", to=onnx.TensorProto.INT8),
        onnx_models.node("MatMulInteger", ["i", "w"], "z"),
        onnx_models.node("Cast", ["z"], "y", to=onnx.TensorProto.FLOAT),
    ]
    weights = {"w": np.ones((20, 2), np.int8)}
    refused(
        onnx_models, nodes, weights, "MatMulInteger 'z_node' computes on integers; export the model in QDQ"
    )


def test_quantization_without_its_counterpart_is_refused(onnx_models):
    n, scale = onnx_models.node, {"s": np.float32(1).reshape(())}
    lone = [n("QuantizeLinear", ["x", "s"], "q"), n("Cast", ["q"], "y", to=onnx.TensorProto.FLOAT)]
    refused(onnx_models, lone, scale, "QuantizeLinear 'q_node' has a reader that is no DequantizeLinear")
    other = [n("Cast", ["x"], "q", to=onnx.TensorProto.INT8), n("DequantizeLinear", ["q", "s"], "y")]
    refused(onnx_models, other, scale, "DequantizeLinear 'y_node' reads 'q', which no QuantizeLinear wrote")
    computed = [n("QuantizeLinear", ["x", "t"], "q"), n("DequantizeLinear", ["q", "t"], "y")]
    first = [n("ReduceMax", ["x"], "t", keepdims=0), *computed]
    refused(onnx_models, first, {}, "QuantizeLinear 'q_node' has a scale that is computed at run time")


def test_scales_of_another_shape_are_refused(onnx_models):
    constants = {"q": np.ones((20, 6), np.int8), "s": np.ones((3, 6), np.float32)}
    nodes = [
        onnx_models.node("DequantizeLinear", ["q", "s"], "w", axis=0, block_size=16),
        onnx_models.node("MatMul", ["x", "w"], "y"),
    ]
    message = (
        r"'w_node': a scale of shape \[3, 6\] does not fit a tensor \[20, 6\] with axis=0, block_size=16"
    )
    refused(onnx_models, nodes, constants, message)


def test_floating_point_elements_are_refused(onnx_models):
    import ml_dtypes

    constants = {"q": np.ones((20, 6), ml_dtypes.float8_e4m3fn), "s": np.float32(1).reshape(())}
    nodes = [
        onnx_models.node("DequantizeLinear", ["q", "s"], "w"),
        onnx_models.node("MatMul", ["x", "w"], "y"),
    ]
    refused(onnx_models, nodes, constants, "reads float8_e4m3fn elements; only integers have a form here")


@pytest.mark.parametrize(
    ("scale", "zero"), [(0.1, 0), (0.05, 20)], ids=["another scale", "another zero point"]
)
def test_a_dequantization_that_does_not_undo_the_quantization_is_refused(onnx_models, scale, zero):
    n = onnx_models.node
    nodes = [
        n("QuantizeLinear", ["x", "s", "z"], "q"),
        n("DequantizeLinear", ["q", "t", "u"], "d"),
        n("MatMul", ["d", "w"], "y"),
    ]
    constants = {"s": np.float32(0.05), "z": np.int8(0), "t": np.float32(scale), "u": np.int8(zero)}
    model = onnx_models.model(nodes, constants | {"w": np.eye(8, dtype=np.float32)}, [4, 8])
    with pytest.raises(ModelError, match=r"DequantizeLinear.*has another scale, zero point or axis than"):
        import_model(model)


@pytest.mark.parametrize("value", [0.0, 50.0, -30.0])
def test_a_range_passes_a_pad_only_where_it_covers_what_the_pad_adds(onnx_models, value):
    n = onnx_models.node
    nodes = [
        n("QuantizeLinear", ["x", "s", "z"], "q"),
        n("DequantizeLinear", ["q", "s", "z"], "d"),
        n("Pad", ["d", "pads", "v"], "p"),
        n("MatMul", ["p", "w"], "y"),
    ]
    constants = {
        "s": np.float32(0.05),
        "z": np.int8(0),
        "pads": np.array([0, 1, 0, 1]),
        "v": np.float32(value),
    }
    model = onnx_models.model(nodes, constants | {"w": np.eye(8, dtype=np.float32)}, [4, 6])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VsqWarning)
        assert bool(given_limits(import_model(model))) == (value == 0)


def test_what_raising_the_opset_of_a_quantized_model_changes_is_refused(onnx_models):
    n = onnx_models.node
    nodes = [
        n("QuantizeLinear", ["x", "s", "z"], "q"),
        n("DequantizeLinear", ["q", "s", "z"], "d"),
        n("Resize", ["d", "f"], "y", mode="linear"),  # of opset 10: its grid is another one later
    ]
    constants = {"s": np.float32(0.05), "z": np.int8(0), "f": np.array([1, 1, 2, 2], np.float32)}
    model = onnx_models.model(nodes, constants, [1, 3, 6, 6], rank=4)
    model.opset_import[0].version, model.ir_version = 10, 8
    with pytest.raises(ModelError, match=r"Resize.*once opset 10 is raised to"):
        import_checked(model)
