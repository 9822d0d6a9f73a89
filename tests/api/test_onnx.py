"""ONNX models end to end: through the simulator, bit for bit what their own integers give."""

from __future__ import annotations

import warnings

import numpy as np
import onnx

import tvm_vsq
from tvm_vsq.errors import VsqWarning
from tvm_vsq.export.layers import quantized_layers
from tvm_vsq.formats import VectorFormat
from tvm_vsq.numerics import quantize_weights
from tvm_vsq.numerics.layout import split

W4S4 = VectorFormat(4, 4, 16)


def two_layers(onnx_models, is_quantized: bool) -> tuple[onnx.ModelProto, np.ndarray]:
    """A convolution and a linear layer, as fp32 or in the two-level form of the same weights."""
    rng = np.random.default_rng(0)
    n = onnx_models.node
    nodes, constants = [], {"conv.bias": rng.standard_normal(24, np.float32), "axes": np.array([2, 3])}
    weights = {
        "conv": rng.standard_normal((24, 3, 3, 20), np.float32),
        "fc": rng.standard_normal((10, 24), np.float32),
    }
    for name, w in weights.items():
        to_onnx = (0, 3, 1, 2) if w.ndim == 4 else (0, 1)
        if not is_quantized:
            constants[f"{name}.weight"] = np.ascontiguousarray(w.transpose(to_onnx))
            continue
        vectors, gamma = quantize_weights(w, W4S4)
        q, s = split(vectors)
        flat = q.reshape(*q.shape[:-2], -1)[..., : w.shape[-1]]
        constants[f"{name}.weight"] = onnx_models.int4(flat.transpose(to_onnx))
        constants[f"{name}.s"] = s.astype(np.uint8).transpose(to_onnx)
        constants[f"{name}.gamma"] = gamma
        nodes += [
            n("DequantizeLinear", [f"{name}.s", f"{name}.gamma"], f"{name}.scale", axis=0),
            n("DequantizeLinear", [f"{name}.weight", f"{name}.scale"], f"{name}.w", axis=1, block_size=16),
        ]
    suffix = "w" if is_quantized else "weight"
    nodes += [
        n("Conv", ["x", f"conv.{suffix}", "conv.bias"], "a", kernel_shape=[3, 3]),
        n("Relu", ["a"], "b"),
        n("ReduceMean", ["b", "axes"], "c", keepdims=0),
        n("Gemm", ["c", f"fc.{suffix}"], "y", transB=1),
    ]
    return onnx_models.model(nodes, constants, [1, 20, 7, 7]), rng.standard_normal((16, 20, 7, 7), np.float32)


def test_a_two_level_model_gives_what_quantizing_its_fp32_form_gives(onnx_models):
    fp32, data = two_layers(onnx_models, is_quantized=False)
    two_level, _ = two_layers(onnx_models, is_quantized=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", VsqWarning)
        config = tvm_vsq.QuantConfig.parse("4/4/4/4").unfitted()
        modules = [tvm_vsq.quantize_model(m, quant=config, calibration=data) for m in (fp32, two_level)]
    for ours, theirs in zip(*(quantized_layers(module).values() for module in modules), strict=True):
        np.testing.assert_array_equal(ours.vectors, theirs.vectors)
        np.testing.assert_array_equal(ours.gamma, theirs.gamma)


def test_a_two_level_model_on_the_simulator_gives_its_reference(onnx_models, tmp_path):
    model, data = two_layers(onnx_models, is_quantized=True)
    onnx.save(model, tmp_path / "net.onnx")
    exe = tvm_vsq.compile(tmp_path / "net.onnx", calibration=data)
    assert [layer.name for layer in exe.metadata.layers] == ["conv", "avg_pool2d_0", "fc"]
    y = exe(data[:1])
    np.testing.assert_array_equal(y, exe.reference(data[:1]))
    assert np.abs(y).max() > 0


def test_an_exported_model_compiles_to_the_same_layers(networks, tmp_path):
    model, x = networks.build(networks.PlainNet)
    data = networks.samples(networks.PlainNet)
    quantized = tvm_vsq.quantize_model(model, example_inputs=(x,), calibration=data)
    tvm_vsq.export_onnx(quantized, tmp_path / "net.onnx")
    ours = tvm_vsq.compile(model, example_inputs=(x,), calibration=data)(x.numpy())
    again = tvm_vsq.compile(tmp_path / "net.onnx", calibration=data)(x.numpy())
    # only the unit of the last result differs: it is calibrated with the weights of the model at hand
    np.testing.assert_allclose(again, ours, atol=1e-4 * np.abs(ours).max())
