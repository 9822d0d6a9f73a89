"""A fake-quantized module as ONNX: opset 21, standard operators, weights as blocked integers."""

from __future__ import annotations

import json
import os
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from onnx import helper
from tvm import relax

from tvm_vsq.errors import ModelError, phase
from tvm_vsq.export.layers import IntegerLayer, exported_module, quantized_layers
from tvm_vsq.export.onnx_operators import layer_writers, write_operator
from tvm_vsq.export.onnx_quantizer import IR_VERSION, OPSET, quantizer_functions
from tvm_vsq.export.onnx_writer import Writer, element_type
from tvm_vsq.files import check_output, replacing
from tvm_vsq.formats import QUANTIZED
from tvm_vsq.frontend.onnx_quantization import OWN_DOMAIN, OWN_QUANTIZER, OWN_STATIC_QUANTIZER
from tvm_vsq.graph import bindings, constant_array, definitions, is_constant, op_name
from tvm_vsq.network import operator_of
from tvm_vsq.network.indices import is_within
from tvm_vsq.tvm_compat import IRModule, Tuple, Var


@phase("exporting to ONNX", ModelError)
def export_onnx(module: Any, path: str | os.PathLike[str] | None = None) -> onnx.ModelProto:
    """What `quantize_model` or `fake_quantize` returned as an ONNX model, also written to `path` if given.

    Weights are integers behind a DequantizeLinear with a block_size of V, whose scales come out of a
    DequantizeLinear of the integer vector scales (docs/onnx.md). Activations go through vectors in a local
    function of standard operators. `tvm_vsq.compile` and `tvm_vsq.quantize_model` read all of it back.
    Raises ModelError for a module that is not fake-quantized, and naming an operator that has no form, and
    InputError where no file can be written.
    """
    if path is not None:
        check_output(path)
    exported = _Export(exported_module(module)).run()
    onnx.checker.check_model(exported, full_check=True)
    if path is not None:
        with replacing(path) as draft:
            onnx.save(exported, draft)
    return exported


class _Export:
    def __init__(self, module: IRModule) -> None:
        self._function = module["main"]
        self._values = definitions(self._function)
        self._layers = quantized_layers(module)
        self._writer = Writer()
        self._names: dict[Var, Any] = {}  # a name, or a list of them for a tuple

    def run(self) -> onnx.ModelProto:
        inputs = []
        for param in self._function.params:
            self._names[param] = self._writer.name(param.name)
            inputs.append(_value_info(self._names[param], param.ty))
        for binding in bindings(self._function):
            name = self._write(binding.var, binding.value)
            if name is not None:
                self._names[binding.var] = name
        body = self._function.body.body
        results = self._operand(body)
        names = results if isinstance(results, list) else [results]
        types = body.ty.fields if isinstance(body.ty, relax.TupleType) else [body.ty]
        outputs = []
        for position, (name, kind) in enumerate(zip(names, types, strict=True)):
            output = self._writer.name("output" if len(names) == 1 else f"output_{position}")
            self._writer.nodes.append(helper.make_node("Identity", [name], [output], name=output))
            outputs.append(_value_info(output, kind))
        graph = helper.make_graph(self._writer.nodes, "main", inputs, outputs, self._writer.initializers)
        model = helper.make_model(
            graph,
            functions=quantizer_functions(),
            opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(OWN_DOMAIN, 1)],
            ir_version=IR_VERSION,
            producer_name="tvm_vsq",
        )
        helper.set_model_props(model, {"tvm_vsq.layers": json.dumps(self._formats())})
        return model

    def _formats(self) -> dict[str, Any]:
        return {
            layer.name: {
                "bits": layer.format.bits,
                "scale_bits": layer.format.scale_bits,
                "vector_size": layer.format.vector_size,
            }
            for layer in self._layers.values()
        }

    def _write(self, var: Var, value: Any) -> Any:
        """The name of what `var` is bound to; None if its readers write it, each as it needs it."""
        if isinstance(value, Var | Tuple) or is_constant(value):
            return self._operand(value)
        if isinstance(value, relax.TupleGetItem):
            return self._operand(value.tuple_value)[value.index]
        name = op_name(value)
        if name == "vsq.quantize" or var in self._layers:
            return None
        if name == "vsq.dequantize":
            return self._quantized_activation(var, value)
        if name == "relax.take" and str(value.attrs.mode) == "clip" and is_within(value, self._values):
            # a reader of ours checks the input; others refuse what is outside, where a Clip would hide it
            value = relax.op.take(*value.args, axis=value.attrs.axis, mode="fast")
        axes = layer_writers()[operator].kernel_axes if (operator := operator_of(value)) else None
        if axes is None:
            operands = [self._operand(arg) for arg in value.args]
        else:
            operands = [self._operand(value.args[0]), self._kernel(value.args[1], axes(value))]
        return write_operator(self._writer, var, value, operands)

    def _operand(self, expr: Any) -> Any:
        if isinstance(expr, Tuple):
            return [self._operand(field) for field in expr.fields]
        if is_constant(expr):
            return self._writer.constant(constant_array(expr))
        if not isinstance(expr, Var):
            return None  # shapes and numbers, which the operator reads itself
        if expr in self._layers and expr not in self._names:
            self._names[expr] = self._weights(self._layers[expr], None)
        return self._names[expr]

    def _kernel(self, kernel: Any, perm: list[int]) -> str:
        if is_constant(kernel):
            return self._writer.constant(constant_array(kernel).transpose(perm), "kernel")
        if kernel in self._layers:
            return self._weights(self._layers[kernel], perm)
        return self._writer.node("Transpose", self._operand(kernel), perm=perm)

    def _weights(self, layer: IntegerLayer, perm: list[int] | None) -> str:
        """The name of a layer's fp32 weights, behind its integers; axes [K, ..., C], or permuted."""
        writer, fmt = self._writer, layer.format
        axes = perm or list(range(layer.elements.ndim))
        if fmt.scale_bits is None:
            # With constant scales onnxruntime makes a MatMulNBits, which rounds the other operand to 8 bits.
            scales: np.ndarray[Any, Any] = np.ones(len(layer.gamma), np.uint8)
            blocks = {"axis": 0}
        else:
            scales = layer.scales.astype(np.uint8 if fmt.scale_bits <= 8 else np.uint16).transpose(axes)
            blocks = {"axis": axes.index(len(axes) - 1), "block_size": fmt.vector_size}
        q = layer.elements.astype(ml_dtypes.int4 if fmt.bits <= 4 else np.int8).transpose(axes)
        operands = [
            writer.constant(array, f"{layer.name}.{part}")
            for part, array in (("weight", q), ("scale", scales), ("gamma", layer.gamma))
        ]
        scale = writer.node("DequantizeLinear", *operands[1:], hint=f"{layer.name}.fp32_scale", axis=0)
        return writer.node("DequantizeLinear", operands[0], scale, hint=f"{layer.name}.fp32_weight", **blocks)

    def _quantized_activation(self, var: Var, call: Any) -> str:
        source: Any = self._values.get(call.args[0])
        if op_name(source) != "vsq.quantize" or not is_constant(call.args[1]):
            raise ModelError(f"'{var.name}' restores vectors that no vsq.quantize made; export before fusing")
        attrs: Any = dict(source.attrs)
        fmt = QUANTIZED.read(attrs)
        x, static = self._operand(source.args[0]), [int(scale) for scale in attrs.get("scales", [])]
        inputs, kind = [x], OWN_QUANTIZER
        if static:
            scales = np.array(static, np.uint16).reshape(-1, 1)
            inputs, kind = [x, self._writer.constant(scales, "vector_scales")], OWN_STATIC_QUANTIZER
        return self._writer.node(
            kind,
            *inputs,
            hint=var.name,
            domain=OWN_DOMAIN,
            vector_size=fmt.vector_size,
            lo=float(fmt.lo),
            qmax=float(fmt.qmax),
            smax=float(fmt.smax),
            step=float(2 ** int(attrs["guard_bits"])),
            inverse_step=float(attrs["inv"]),
            gamma=float(constant_array(call.args[1])),
        )


def _value_info(name: str, kind: Any) -> onnx.ValueInfoProto:
    shape = [int(extent) for extent in kind.shape]
    return helper.make_tensor_value_info(name, element_type(str(kind.dtype)), shape)
