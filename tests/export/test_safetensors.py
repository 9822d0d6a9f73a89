"""Integer weights survive a file that any reader of safetensors opens."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from tests.seeds import one_of
from torch import nn

import tvm_vsq
from tvm_vsq.errors import InputError, ModelError
from tvm_vsq.export.layers import quantized_layers
from tvm_vsq.frontend import import_model


@pytest.mark.parametrize("target", one_of(["vsq-accel", "vsq-accel-int8", "vsq-accel-w4a8"]))
def test_layers_survive(networks, tmp_path, target):
    model, x = networks.build(networks.ResNet)
    data = networks.samples(networks.ResNet)
    module = tvm_vsq.quantize_model(model, target, example_inputs=(x,), calibration=data)
    path = tmp_path / "net.safetensors"
    tvm_vsq.export_safetensors(module, path)
    loaded = tvm_vsq.load_safetensors(path)
    expected = {layer.name: layer for layer in quantized_layers(module).values()}
    assert list(loaded) == list(expected)
    for name, layer in loaded.items():
        assert (layer.format, layer.notation) == (expected[name].format, expected[name].notation)
        np.testing.assert_array_equal(layer.vectors, expected[name].vectors)
        np.testing.assert_array_equal(layer.gamma, expected[name].gamma)
        np.testing.assert_array_equal(layer.bias, expected[name].bias)


def test_scales_beyond_a_byte_survive(tmp_path):
    x = torch.randn(16, 40, generator=torch.Generator().manual_seed(0))
    hardware = tvm_vsq.load_hardware("vsq-accel").with_formats("4/8/9/10")
    config = tvm_vsq.QuantConfig.of_hardware(hardware).unfitted()
    network = nn.Sequential(nn.Linear(40, 6))
    module = tvm_vsq.quantize_model(network, hardware, example_inputs=(x,), calibration=x, quant=config)
    tvm_vsq.export_safetensors(module, tmp_path / "net.safetensors")
    (layer,) = quantized_layers(module).values()
    loaded = tvm_vsq.load_safetensors(tmp_path / "net.safetensors")["0"]
    assert layer.scales.max() == 2**9 - 1
    np.testing.assert_array_equal(loaded.scales, layer.scales)
    np.testing.assert_array_equal(loaded.restored(), layer.restored())


def test_the_file_alone_is_enough_to_restore_the_weights(networks, tmp_path):
    model, x = networks.build(networks.Mlp)
    data = networks.samples(networks.Mlp)
    module = tvm_vsq.quantize_model(model, example_inputs=(x,), calibration=data)
    path = tmp_path / "net.safetensors"
    tvm_vsq.export_safetensors(module, path)
    tensors = load_file(path)
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    assert (metadata["format"], metadata["version"]) == ("tvm_vsq", "1")
    fields = json.loads(metadata["layers"])["up"]
    moved = fields.pop("outputs")
    assert sorted(moved) == list(range(len(moved)))
    assert fields == {"quant": "4/4/4/4", "bits": 4, "scale_bits": 4, "vector_size": 16}
    q, s, gamma = (tensors[f"up.{part}"] for part in ("elements", "scales", "gamma"))
    assert (q.dtype, s.dtype, gamma.dtype) == (np.int8, np.uint8, np.float32)
    spread = s.repeat(fields["vector_size"], axis=-1)[..., : q.shape[-1]]
    restored = q * spread * gamma[:, None]
    np.testing.assert_allclose(restored, tvm_vsq.load_safetensors(path)["up"].restored(), rtol=1e-6)
    assert networks.sqnr_db(model.up.weight.detach().numpy()[moved], restored) > 15
    assert networks.sqnr_db(model.up.bias.detach().numpy()[moved], tensors["up.bias"]) > 15


def test_a_module_that_is_not_quantized_is_refused(networks, tmp_path):
    model, x = networks.build(networks.Mlp)
    with pytest.raises(ModelError, match="holds no quantized layer"):
        tvm_vsq.export_safetensors(import_model(model, (x,)), tmp_path / "net.safetensors")


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    with pytest.raises(InputError, match=r"x\.safetensors' is no file of export_safetensors"):
        tvm_vsq.load_safetensors(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"x\.safetensors' is no file of export_safetensors"):
        tvm_vsq.load_safetensors(path)
    save_file({"a": np.zeros(1)}, path, {"format": "tvm_vsq", "version": "2"})
    with pytest.raises(InputError, match=r"holds no integer weights of version 1; write it with"):
        tvm_vsq.load_safetensors(path)


@pytest.mark.parametrize(
    "layers",
    [
        "[",
        "[" * 100_000,
        "[]",
        '{"a": 1}',
        '{"a": {}}',
        '{"a": {"bits": 4, "scale_bits": 4, "vector_size": 16, "quant": "4/4/4/4"}}',
        '{"a": {"bits": "x", "scale_bits": 4, "vector_size": 0, "quant": "x"}}',
    ],
    ids=lambda text: text[:20],
)
def test_junk_in_metadata_is_refused_in_one_line(tmp_path, layers):
    path = tmp_path / "x.safetensors"
    save_file({"b": np.zeros(1)}, path, {"format": "tvm_vsq", "version": "1", "layers": layers})
    with pytest.raises(InputError, match=r"x\.safetensors'") as caught:
        tvm_vsq.load_safetensors(path)
    assert len(str(caught.value).splitlines()) == 1
