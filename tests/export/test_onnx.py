"""Exported networks compute in onnxruntime what the reference computes, and come back as they were."""

from __future__ import annotations

import warnings

import numpy as np
import onnx
import onnx.inliner
import onnxruntime
import pytest
import torch
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.onnx_models import run as run_onnx
from tests.seeds import first_of
from tests.transformers_models import Encoder, batch
from torch import nn

import tvm_vsq
from tvm_vsq.errors import InputError, ModelError, VsqWarning
from tvm_vsq.export.layers import quantized_layers
from tvm_vsq.export.onnx_quantizer import IR_VERSION, OPSET, quantizer_functions
from tvm_vsq.formats import VectorFormat
from tvm_vsq.frontend import import_model
from tvm_vsq.hardware import load_hardware
from tvm_vsq.importing.run import results_of
from tvm_vsq.numerics import dequantize, inverse_step, quantize_activations
from tvm_vsq.numerics.activations import requantize
from tvm_vsq.pipeline import build_reference

TOLERANCE = 1e-5
"""Of the largest value: products of fp32 values in another order; docs/onnx.md states it."""


MODULES = {}


STATIC = tvm_vsq.QuantConfig(
    **tvm_vsq.QuantConfig.parse("4/4/4/4").model_dump() | {"activation_scales": "static"}
)


def quantized(networks, name, target="vsq-accel", quant=None):
    if (name, target, quant) not in MODULES:
        network = getattr(networks, name)
        model, x = networks.build(network)
        data = networks.samples(network)
        config = quant or tvm_vsq.QuantConfig.of_hardware(tvm_vsq.load_hardware(target)).unfitted()
        module = tvm_vsq.quantize_model(model, target, example_inputs=(x,), calibration=data, quant=config)
        MODULES[name, target, quant] = module, x.numpy()
    return MODULES[name, target, quant]


@pytest.mark.parametrize(
    ("name", "target", "quant"),
    first_of(
        [
            ("DepthwiseNet", "vsq-accel", None),
            ("ClippedNet", "vsq-accel", STATIC),
            ("Mlp", "vsq-accel-int8", None),
            ("ResNet", "vsq-accel", None),
            ("ResNet", "vsq-accel-w4a8", None),
        ],
        1,
    ),
)
def test_onnxruntime_agrees_with_the_fake_quantized_graph(networks, name, target, quant):
    module, x = quantized(networks, name, target, quant)
    for expected, value in zip(
        networks.run_tvm(module, x), run_onnx(tvm_vsq.export_onnx(module), x), strict=True
    ):
        assert np.abs(value - expected).max() <= TOLERANCE * np.abs(expected).max()


@pytest.mark.large
@pytest.mark.parametrize("name", ["ResNet", "PlainNet"])
def test_onnxruntime_agrees_with_the_integer_layers(networks, name):
    # these round each result to its unit once more, so that an element of the next layer may be a step off
    module, x = quantized(networks, name)
    reference = build_reference(module, load_hardware("vsq-accel"))
    machine = tvm.relax.VirtualMachine(reference, tvm.cpu())
    expected = machine["main"](tvm.runtime.tensor(x))
    expected = (expected if hasattr(expected, "numpy") else expected[0]).numpy()
    (value,) = run_onnx(tvm_vsq.export_onnx(module), x)
    assert networks.sqnr_db(expected, value) > 35


@settings(max_examples=30, deadline=None)
@given(
    bits=st.integers(2, 8),
    scale_bits=st.sampled_from([None, 1, 4, 10]),
    vector_size=st.sampled_from([8, 16, 64]),
    signed=st.booleans(),
    guard_bits=st.sampled_from([0, 4, 8]),
    channels=st.integers(1, 40),
    rank=st.integers(1, 4),
    static=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_the_quantizer_function_is_exact(
    onnx_models, bits, scale_bits, vector_size, signed, guard_bits, channels, rank, static, seed
):
    rng = np.random.default_rng(seed)
    fmt = VectorFormat(bits, scale_bits, vector_size, signed)
    gamma = np.float32(rng.uniform(0.5, 2) / (fmt.qmax * fmt.smax))
    x = (rng.standard_normal((2, 3, 1, channels)[4 - rank :]) * rng.choice([0.1, 1, 10])).astype(np.float32)
    x = np.round(x, 1) if seed % 2 else x  # ties
    scales = rng.integers(1, fmt.smax + 1, fmt.vectors(channels)).astype(np.uint16)
    attributes = {
        "vector_size": vector_size,
        "lo": float(fmt.lo),
        "qmax": float(fmt.qmax),
        "smax": float(fmt.smax),
        "step": float(2**guard_bits),
        "inverse_step": float(inverse_step(gamma, guard_bits)),
        "gamma": float(gamma),
    }
    kind, inputs = ("VectorFakeQuantizeStatic", ["x", "s"]) if static else ("VectorFakeQuantize", ["x"])
    node = onnx_models.node(kind, inputs, "y", domain="tvm_vsq", **attributes)
    model = onnx_models.model([node], {"s": scales.reshape(-1, 1)} if static else {}, list(x.shape), rank)
    model.functions.extend(quantizer_functions())
    model.opset_import.append(onnx.helper.make_opsetid("tvm_vsq", 1))
    if static:
        limit = np.float32(2**30)
        steps = np.rint(np.clip(x * inverse_step(gamma, guard_bits), -limit, limit)).astype(np.int32)
        vectors = requantize(steps, fmt, guard_bits, scales.tolist())
    else:
        vectors = quantize_activations(x, fmt, gamma, guard_bits)
    np.testing.assert_array_equal(run_onnx(model, x)[0], dequantize(vectors, gamma, channels))


def test_tools_without_functions_get_standard_operators(networks):
    module, x = quantized(networks, "Mlp", "vsq-accel-int8")
    model = tvm_vsq.export_onnx(module)
    inlined = onnx.inliner.inline_local_functions(model)
    assert {node.domain for node in inlined.graph.node} == {""}
    assert not inlined.functions
    np.testing.assert_allclose(run_onnx(inlined, x)[0], run_onnx(model, x)[0], rtol=1e-5, atol=1e-6)


def test_weights_are_blocked_4_bit_integers_with_integer_scales(networks):
    module, _ = quantized(networks, "ResNet")
    model = tvm_vsq.export_onnx(module)
    assert (model.opset_import[0].version, model.ir_version) == (OPSET, IR_VERSION)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    conv = tensors["layer2.conv1.weight"]
    assert (conv.data_type, list(conv.dims)) == (onnx.TensorProto.INT4, [18, 7, 3, 3])
    assert tensors["layer2.conv1.scale"].data_type == onnx.TensorProto.UINT8
    assert list(tensors["layer2.conv1.scale"].dims) == [18, 1, 3, 3]
    assert list(tensors["layer2.conv1.gamma"].dims) == [18]
    blocks = [a.i for n in model.graph.node for a in n.attribute if a.name == "block_size"]
    assert blocks == [16] * 7


@pytest.mark.parametrize(
    ("name", "target", "quant", "tolerance"),
    first_of(
        [
            ("ClippedNet", "vsq-accel", STATIC, 1e-4),
            ("DepthwiseNet", "vsq-accel", None, 1e-4),
            ("Mlp", "vsq-accel-int8", None, 1e-4),
            # the range of what only the pool reads is calibrated anew
            ("ResNet", "vsq-accel-w4a8", None, 1e-2),
        ],
        1,
    ),
)
def test_what_was_exported_comes_back_as_it_was(networks, tmp_path, name, target, quant, tolerance):
    module, x = quantized(networks, name, target, quant)
    tvm_vsq.export_onnx(module, tmp_path / "net.onnx")
    data = networks.samples(getattr(networks, name))
    with warnings.catch_warnings():
        warnings.simplefilter("error", VsqWarning)
        warnings.filterwarnings("ignore", "the model quantizes", VsqWarning)  # what only residuals read
        again = tvm_vsq.quantize_model(tmp_path / "net.onnx", target, calibration=data, quant=quant)
    before, after = (list(quantized_layers(m).values()) for m in (module, again))
    assert [layer.name for layer in before] == [layer.name for layer in after]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old.vectors, new.vectors)
        np.testing.assert_array_equal(old.gamma, new.gamma)
    for old, new in zip(networks.run_tvm(module, x), networks.run_tvm(again, x), strict=True):
        np.testing.assert_allclose(new, old, rtol=tolerance, atol=tolerance * np.abs(old).max())


@pytest.mark.parametrize("scale_bits", [9, 10])
def test_scales_beyond_a_byte_go_out_and_come_back(tmp_path, scale_bits):
    x = torch.randn(16, 40, generator=torch.Generator().manual_seed(0))
    hardware = load_hardware("vsq-accel").with_formats(f"4/8/{scale_bits}/10")
    config = tvm_vsq.QuantConfig.of_hardware(hardware).unfitted()
    network = nn.Sequential(nn.Linear(40, 6, bias=False))
    module = tvm_vsq.quantize_model(network, hardware, example_inputs=(x,), calibration=x, quant=config)
    tvm_vsq.export_onnx(module, tmp_path / "net.onnx")
    again = tvm_vsq.quantize_model(tmp_path / "net.onnx", hardware, calibration=x, quant=config)
    (old,), (new,) = (quantized_layers(m).values() for m in (module, again))
    assert old.scales.max() == 2**scale_bits - 1
    for part in ("elements", "scales", "gamma"):
        np.testing.assert_array_equal(getattr(new, part), getattr(old, part))


def test_a_module_that_is_not_quantized_is_refused(networks):
    model, x = networks.build(networks.Mlp)
    with pytest.raises(ModelError, match=r"holds no quantized layer; make it with tvm_vsq\.quantize_model"):
        tvm_vsq.export_onnx(import_model(model, (x,)))


def test_an_operator_without_a_form_is_named(networks):
    class Unusual(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(8, 8)

        def forward(self, x):
            return torch.cumsum(self.fc(x), 1)

    x = torch.randn(2, 8)
    module = tvm_vsq.quantize_model(Unusual(), example_inputs=(x,), calibration=x.numpy())
    with pytest.raises(ModelError, match=r"operator relax\.cumsum \('.*'\) has no ONNX form here yet"):
        tvm_vsq.export_onnx(module)


def test_a_network_of_token_ids_comes_back(tmp_path):
    torch.manual_seed(0)
    inputs, data = batch(2, 6), [batch(2, 6) for _ in range(8)]
    module = tvm_vsq.quantize_model(Encoder().eval(), example_inputs=inputs, calibration=data)
    exported = tvm_vsq.export_onnx(module, tmp_path / "net.onnx")
    arrays = {name: tensor.numpy() for name, tensor in inputs.items()}
    session = onnxruntime.InferenceSession(exported.SerializeToString())
    for found, expected in zip(
        session.run(None, arrays), results_of(module, [*arrays.values()]), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    with pytest.raises(
        onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument, match="out of data bounds"
    ):
        session.run(None, {**arrays, "input_ids": np.full_like(arrays["input_ids"], 50)})
    again = tvm_vsq.quantize_model(tmp_path / "net.onnx", calibration=data)
    before, after = (quantized_layers(m).values() for m in (module, again))
    assert [layer.name for layer in before] == [layer.name for layer in after]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old.vectors, new.vectors)
        np.testing.assert_array_equal(old.gamma, new.gamma)
    exe = tvm_vsq.compile(again, strict=True)
    assert all(map(np.array_equal, exe(**arrays), exe.reference(**arrays)))
    with pytest.raises(InputError, match="input_ids"):
        exe(**{**arrays, "input_ids": np.full_like(arrays["input_ids"], 50)})
