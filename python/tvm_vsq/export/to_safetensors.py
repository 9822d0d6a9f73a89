"""Integer weights as safetensors, and back."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from tvm_vsq.errors import InputError, ModelError, first_line, phase, shown
from tvm_vsq.export.layers import IntegerLayer, exported_module, quantized_layers
from tvm_vsq.files import as_path, parse_json, replacing
from tvm_vsq.formats import VectorFormat
from tvm_vsq.quantize.reorder import channel_orders

_VERSION = "1"


@phase("exporting to safetensors", ModelError)
def export_safetensors(module: Any, path: str | os.PathLike[str]) -> None:
    """Write the integer weights of what `quantize_model` or `fake_quantize` returned.

    For each layer: "<layer>.elements" int8 [K, R, S, C] or [K, C]; "<layer>.scales" uint8 (uint16 for more
    than 8 bits) [..., CV], unless the format has none; "<layer>.gamma" and "<layer>.bias" float32 [K].
    Metadata: "format" is "tvm_vsq", "version" "1", "layers" JSON with each layer's "quant" (W/A/ws/as),
    "bits", "scale_bits" and "vector_size"; and, where `QuantConfig.channel_order` moved channels, "inputs"
    and "outputs", the channel of the model that each one was. Raises ModelError for a module that is not
    quantized.
    """
    tensors: dict[str, np.ndarray[Any, Any]] = {}
    described: dict[str, dict[str, Any]] = {}
    quantized = exported_module(module)
    orders = channel_orders(quantized)
    for layer in quantized_layers(quantized).values():
        fmt = layer.format
        tensors[f"{layer.name}.elements"] = np.ascontiguousarray(layer.elements)
        tensors[f"{layer.name}.gamma"] = layer.gamma
        tensors[f"{layer.name}.bias"] = layer.bias
        if fmt.scale_bits is not None:
            width = np.uint8 if fmt.scale_bits <= 8 else np.uint16
            tensors[f"{layer.name}.scales"] = np.ascontiguousarray(layer.scales.astype(width))
        described[layer.name] = {
            "quant": layer.notation,
            "bits": fmt.bits,
            "scale_bits": fmt.scale_bits,
            "vector_size": fmt.vector_size,
            **orders.get(layer.name, {}),
        }
    metadata = {"format": "tvm_vsq", "version": _VERSION, "layers": json.dumps(described)}
    with replacing(path) as draft:
        try:
            save_file(tensors, draft, metadata)
        except SafetensorError as error:
            raise OSError(str(error)) from None


def load_safetensors(path: str | os.PathLike[str]) -> dict[str, IntegerLayer]:
    """Read what `export_safetensors` wrote, by layer name; `IntegerLayer.restored` gives fp32 weights.

    Raises InputError naming the file if it is no such file, or of another version.
    """
    file_name = as_path(path)
    name = shown(str(file_name))
    try:
        with safe_open(file_name, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != "tvm_vsq" or metadata.get("version") != _VERSION:
                raise InputError(
                    f"{name} holds no integer weights of version {_VERSION}; write it with "
                    "tvm_vsq.export_safetensors of this version"
                )
            layers = parse_json(metadata["layers"], name)
            return {layer: _layer(layer, fields, file) for layer, fields in layers.items()}
    except InputError:
        raise
    except Exception as error:  # of safetensors, or of metadata that others wrote
        raise InputError(f"{name} is no file of export_safetensors: {first_line(error)}") from error


def _layer(name: str, fields: dict[str, Any], file: Any) -> IntegerLayer:
    fmt = VectorFormat(fields["bits"], fields["scale_bits"], fields["vector_size"])
    elements, gamma, bias = (file.get_tensor(f"{name}.{part}") for part in ("elements", "gamma", "bias"))
    rows = (*elements.shape[:-1], fmt.vectors(elements.shape[-1]))
    scales = np.ones(rows, np.int64) if fmt.scale_bits is None else file.get_tensor(f"{name}.scales")
    return IntegerLayer(name, fields["quant"], fmt, elements, scales.astype(np.int64), gamma, bias)
