"""What is written out, folded or raised before TVM sees it computes what onnxruntime computes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest

import tvm_vsq
from tvm_vsq.errors import ModelError, VsqError
from tvm_vsq.frontend.given import given_limits
from tvm_vsq.graph import definitions, op_name
from tvm_vsq.importing import import_checked

RNG = np.random.default_rng(0)
IMAGE = RNG.standard_normal((2, 3, 7, 8), np.float32)
KERNEL = RNG.standard_normal((4, 3, 3, 3), np.float32)


def checked(model: onnx.ModelProto, x: np.ndarray):
    """The import, which is compared with onnxruntime on x."""
    return import_checked(model, x)


def one(onnx_models, kind, constants, x=IMAGE, opset=17, given=None, **attributes):
    node = onnx_models.node(kind, given or ["x", *constants], "y", **attributes)
    return onnx_models.model([node], constants, list(x.shape), rank=x.ndim, opset=opset)


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("kind", ["Conv", "ConvTranspose", "MaxPool", "AveragePool"])
def test_automatic_padding(onnx_models, kind, mode):
    constants = {"Conv": {"w": KERNEL}, "ConvTranspose": {"w": KERNEL[:3]}}.get(kind, {})
    window = {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": mode}
    checked(one(onnx_models, kind, constants, **window), IMAGE)


@pytest.mark.parametrize("operands", [["a"], ["a", "x"], ["x", "a", "b"]])
def test_a_sum_is_a_chain_of_additions(onnx_models, operands):
    """So that a layer takes it as its residual."""
    nodes = [
        onnx_models.node("Conv", ["x", "w"], "a", pads=[1, 1, 1, 1]),
        onnx_models.node("Sum", operands, "y"),
    ]
    constants = {"w": KERNEL[:3], "b": RNG.standard_normal((3, 1, 1), np.float32)}
    model = onnx_models.model(nodes, constants, list(IMAGE.shape), rank=4, opset=9)
    module = checked(model, IMAGE)
    counts = Counter(op_name(value) for value in definitions(module["main"]).values())
    assert counts["relax.add"] == len(operands) - 1
    assert not {"relax.stack", "relax.sum"} & set(counts)


@pytest.mark.parametrize("shape", [[14, 16], [13, 15], [15, 17], [16, 18]])
def test_the_extents_of_a_transposed_convolution(onnx_models, shape):
    checked(one(onnx_models, "ConvTranspose", {"w": KERNEL[:3]}, strides=[2, 2], output_shape=shape), IMAGE)


@pytest.mark.parametrize("factor", [0.6, 1.5, 2.0])
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("coordinates", ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"])
def test_resizing(onnx_models, coordinates, mode, factor):
    if (coordinates, factor) == ("align_corners", 0.6):
        pytest.skip("onnxruntime and onnx differ where the extent is no whole number")
    constants = {"f": np.array([1, 1, factor, factor], np.float32)}
    words = {"mode": mode, "coordinate_transformation_mode": coordinates}
    x = RNG.standard_normal((1, 2, 6, 10), np.float32)
    checked(one(onnx_models, "Resize", constants, x, given=["x", "", "f"], **words), x)


@pytest.mark.parametrize(
    ("kind", "opset", "attributes"),
    [
        ("Upsample", 7, {"scales": [1.0, 1.0, 2.0, 3.0]}),
        ("Slice", 9, {"starts": [1, 2], "ends": [3, 9], "axes": [1, 3]}),
        ("Pad", 10, {"pads": [0, 0, 1, 2, 0, 0, 0, 1], "mode": "reflect"}),
        ("Clip", 6, {"min": -0.5, "max": 1.0}),
        ("Softmax", 9, {"axis": 1}),
        ("Squeeze", 11, {}),
    ],
)
def test_old_operators(onnx_models, kind, opset, attributes):
    checked(one(onnx_models, kind, {}, opset=opset, **attributes), IMAGE)


@pytest.mark.parametrize(
    ("kind", "opset", "attributes"),
    [
        ("Celu", 17, {"alpha": 0.7}),
        ("MeanVarianceNormalization", 17, {}),
        ("Swish", 24, {}),
        ("CenterCropPad", 18, {"axes": [2, 3]}),
    ],
)
def test_operators_that_onnx_defines_by_others(onnx_models, kind, opset, attributes):
    constants = {"CenterCropPad": {"s": np.array([5, 10])}}.get(kind, {})
    checked(one(onnx_models, kind, constants, opset=opset, **attributes), IMAGE)


def test_a_clip_whose_bounds_are_crossed(onnx_models):
    constants = {"low": np.array(1, np.float32), "high": np.array(-1, np.float32)}
    checked(one(onnx_models, "Clip", constants), IMAGE)


def test_shapes_are_computed_before_the_import(onnx_models):
    n = onnx_models.node
    nodes = [
        n("Shape", ["x"], "s"),
        n("Cast", ["s"], "t", to=6),
        n("Slice", ["t", "zero", "one"], "b"),
        n("Concat", ["b", "rest"], "c", axis=0),
        n("Cast", ["c"], "d", to=7),
        n("Reshape", ["x", "d"], "f"),
        n("MatMul", ["f", "fc.weight"], "y"),
    ]
    constants = {"zero": np.array([0]), "one": np.array([1]), "rest": np.array([-1], np.int32)}
    constants["fc.weight"] = RNG.standard_normal((168, 5), np.float32)
    module = checked(onnx_models.model(nodes, constants, list(IMAGE.shape)), IMAGE)
    assert "shape_of" not in module.script()


def test_a_row_that_is_masked_throughout_has_infinity_as_its_maximum(onnx_models):
    n = onnx_models.node
    nodes = [
        n("ReduceMax", ["mask", "last"], "peak"),
        n("Equal", ["peak", "lowest"], "empty"),
        n("Where", ["empty", "zero", "x"], "y"),
    ]
    mask = np.array([[0, -np.inf, 1], [-np.inf] * 3], np.float32)
    constants = {"mask": mask, "last": np.array([1]), "lowest": np.float32(-np.inf), "zero": np.float32(0)}
    checked(onnx_models.model(nodes, constants, [2, 3]), IMAGE[0, 0, :2, :3])


@pytest.mark.parametrize("extent", [-1, 0, None])
def test_an_axis_without_a_number_is_dynamic(onnx_models, extent):
    model = one(onnx_models, "Relu", {})
    dim = model.graph.input[0].type.tensor_type.shape.dim[0]
    dim.Clear()
    if extent is not None:
        dim.dim_value = extent
    with pytest.raises(
        ModelError, match=rf"input 'x' has a dynamic shape \[{'?' if extent is None else extent}"
    ):
        import_checked(model)
    module = checked(model, IMAGE)
    assert [int(n) for n in module["main"].params[0].ty.shape] == list(IMAGE.shape)


def test_results_without_a_shape(onnx_models):
    model = one(onnx_models, "Relu", {})
    model.graph.output[0].type.tensor_type.ClearField("shape")
    checked(model, IMAGE)


def test_a_batch_of_nothing_is_refused_at_once(onnx_models):
    model = onnx_models.model([onnx_models.node("Relu", ["x"], "y")], {}, ["n", 3])
    with pytest.raises(ModelError, match=r"example_inputs\[0\] has shape \[0, 3\], and no element; .*'x'"):
        import_checked(model, np.zeros((0, 3), np.float32))


@pytest.mark.parametrize(
    ("kind", "opset", "message"),
    [
        ("Det", 17, "Det 'y_node' has no form in TVM"),
        ("NonZero", 17, "NonZero 'y_node' has no form in TVM: .*its shape depends on values at run time"),
        ("RandomNormalLike", 17, "RandomNormalLike 'y_node'"),
        ("Dropout", 17, "Dropout 'y_node' .*is in training mode"),
    ],
)
def test_a_refusal_names_its_node(onnx_models, kind, opset, message):
    constants = {"Dropout": {"ratio": np.float32(0.5).reshape(()), "training": np.array(True)}}.get(kind, {})
    model = one(onnx_models, kind, constants, np.zeros((2, 3, 3), np.float32), opset)
    with pytest.raises(VsqError, match=message):
        import_checked(model)


@pytest.mark.parametrize(
    ("kind", "constants"),
    [
        ("Conv", {"w": KERNEL, "b": np.zeros(4, np.float32)}),
        ("Conv", {"w": KERNEL[:1], "b": np.zeros(1, np.float32)}),
        ("Mul", {"w": np.ones((1, 3, 1, 1), np.float32)}),
        ("InstanceNormalization", {"s": np.ones(3, np.float32), "b": np.zeros(3, np.float32)}),
    ],
)
def test_constants_that_are_nan_name_their_node(onnx_models, kind, constants):
    *_, name = constants
    constants = constants | {name: constants[name] * np.float32(np.nan)}
    with pytest.raises(ModelError, match=f"'{name}' of {kind} 'y_node' holds NaN"):
        import_checked(one(onnx_models, kind, constants))


def test_what_is_chosen_or_compared_may_be_nan(onnx_models):
    n = onnx_models.node
    nodes = [n("Greater", ["x", "zero"], "c"), n("Where", ["c", "x", "none"], "y")]
    constants = {"zero": np.float32(0), "none": np.float32(np.nan)}
    checked(onnx_models.model(nodes, constants, [2, 3]), IMAGE[0, 0, :2, :3])


def test_what_tvm_computes_otherwise_is_refused_by_node(onnx_models):
    x = RNG.standard_normal((1, 2, 4, 4), np.float32)
    model = one(onnx_models, "Resize", {"f": np.array([1, 1, 0.5, 0.5], np.float32)}, x, 18, ["x", "", "f"],
                mode="linear", antialias=1)  # fmt: skip
    with pytest.raises(ModelError, match="Resize 'y_node' of the ONNX model is imported wrongly"):
        import_checked(model, x)


def pair(onnx_models, source, name, scale, zero):
    return [
        onnx_models.node("QuantizeLinear", [source, scale, zero], f"{name}q"),
        onnx_models.node("DequantizeLinear", [f"{name}q", scale, zero], name),
    ]


W = RNG.standard_normal((16, 16), np.float32)


def test_each_use_of_one_weight_has_its_own_range(onnx_models):
    n = onnx_models.node
    nodes = [
        *pair(onnx_models, "x", "a", "small", "zero"),
        n("MatMul", ["a", "w"], "left"),
        *pair(onnx_models, "x", "b", "large", "zero"),
        n("MatMul", ["b", "w"], "right"),
        n("MatMul", ["x", "w"], "plain"),
        n("Concat", ["left", "right", "plain"], "y", axis=1),
    ]
    constants = {"w": W, "small": np.float32(0.03), "large": np.float32(3), "zero": np.int8(0)}
    model = onnx_models.model(nodes, constants, [32, 16])
    x = RNG.standard_normal((32, 16), np.float32)
    assert given_limits(import_checked(model, x)) == pytest.approx({"w": 0.03 * 127, "w#2": 381})
    exe = tvm_vsq.compile(model, "vsq-accel-int8", calibration=x, example_inputs=x)
    got, exact = np.asarray(exe(x)), x @ W
    noise = [np.square(got[:, at : at + 16] - exact).sum() / np.square(exact).sum() for at in (0, 16, 32)]
    assert noise[0] < 1e-3
    assert noise[1] > 0.1  # its own step is 3
    assert noise[2] < 1e-3


@pytest.mark.parametrize(("zero", "low", "high"), [(np.uint8(20), -0.8, 9.4), (np.int8(0), -5.12, 5.08)])
def test_quantization_that_clips_is_a_clip(networks, onnx_models, zero, low, high):
    nodes = [*pair(onnx_models, "x", "a", "s", "z"), onnx_models.node("MatMul", ["a", "w"], "y")]
    model = onnx_models.model(nodes, {"w": W, "s": np.float32(0.04), "z": zero}, [4, 16])
    x = np.linspace(-20, 20, 64, dtype=np.float32).reshape(4, 16)
    (value,) = networks.run_tvm(import_checked(model, x), x)
    np.testing.assert_allclose(value, np.clip(x, low, high) @ W, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("zero", "offset", "stays"),
    [(np.int8(0), 0, False), (np.int8(0), 40, False), (np.uint8(128), 0, False), (np.uint8(100), 40, True)],
)
def test_a_clip_between_layers_stays_only_if_it_clips(onnx_models, zero, offset, stays):
    n = onnx_models.node
    nodes = [
        n("MatMul", ["x", "w"], "h"),
        *pair(onnx_models, "h", "a", "s", "z"),
        n("MatMul", ["a", "v"], "y"),
    ]
    constants = {"w": W, "v": W, "s": np.float32(0.2), "z": zero}
    model = onnx_models.model(nodes, constants, [32, 16])
    x = RNG.standard_normal((32, 16), np.float32) * (1 + offset)
    exe = tvm_vsq.compile(model, "vsq-accel-int8", calibration=x, example_inputs=x)
    assert ("clip" in str(exe.explain())) == stays


def test_a_wrong_bound_of_what_was_quantized_is_refused_by_node(onnx_models, monkeypatch):
    nodes = [*pair(onnx_models, "x", "a", "s", "z"), onnx_models.node("MatMul", ["a", "w"], "y")]
    constants = {"w": W, "s": np.float32(0.04), "z": np.int8(0)}
    model = onnx_models.model(nodes, constants, [4, 16])
    x = np.linspace(-20, 20, 64, dtype=np.float32).reshape(4, 16)
    checked(model, x)
    monkeypatch.setattr("tvm_vsq.frontend.onnx_quantization.bounds", lambda dtype: (-64, 63))
    with pytest.raises(
        ModelError, match=r"DequantizeLinear 'a_node' is imported wrongly: .* -2\.56 to 2\.52 here"
    ):
        checked(model, x)
