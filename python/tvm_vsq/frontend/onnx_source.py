"""An ONNX model, run by onnxruntime, or, where that is not installed or lacks an operator, by onnx itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator

from tvm_vsq.errors import ModelError, first_line
from tvm_vsq.frontend.onnx_importer import import_graph
from tvm_vsq.frontend.onnx_nodes import describe, opset_of
from tvm_vsq.frontend.onnx_quantization import Bypassed
from tvm_vsq.frontend.source import Array, Opened, Value

_RAISED = 1e-2
"""Relative, 2-norm: elements between two integers may be rounded the other way."""

_HALF_A_STEP = 0.51
"""With fp32's own rounding."""


class OnnxSource:
    """See `source.Source`.

    model: what is run; as it came, but for shapes that example inputs fixed and quantization that was taken
    out. imported: what TVM was given for it. quantized: the model before `bypassed` were taken out. came: the
    same before its opset was raised.
    """

    examples = None

    def __init__(
        self,
        title: str,
        model: onnx.ModelProto,
        imported: onnx.ModelProto,
        quantized: onnx.ModelProto | None = None,
        bypassed: Sequence[Bypassed] = (),
        came: onnx.ModelProto | None = None,
    ) -> None:
        self.title, self._model, self._imported = title, model, imported
        self._quantized, self._bypassed, self._came = quantized, bypassed, came

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """One inference; one more with quantization, if it was taken out, and two where the opset was raised
        before.

        Raises ModelError where that did more than the clip that stands for it and rounding.
        """
        if self._quantized is not None and self._came is not None:
            self._check_raised(self._came, self._quantized, inputs)
        if self._quantized is not None and self._bypassed:
            self._check_bypassed(self._quantized, inputs)
        return self._run([value.name for value in self._model.graph.output], inputs)

    def opened(self) -> Opened:
        """Imported anew, with each tensor as a result that both models have under one name."""
        values = self._shared
        graph = onnx.GraphProto()
        graph.CopyFrom(self._imported.graph)
        del graph.output[:]
        graph.output.extend(onnx.ValueInfoProto(name=value.name) for value in values)
        module, _ = import_graph(graph, opset_of(self._imported))
        return Opened(module, values)

    def inside(self, inputs: Sequence[Array]) -> list[Array]:
        """One inference with more results."""
        made = [value.name for value in self._shared[len(inputs) :]]
        return [*inputs, *self._run(made, inputs)]

    @property
    def _shared(self) -> tuple[Value, ...]:
        made = {name for node in self._imported.graph.node for name in node.output}
        inputs = (Value(value.name, f"input '{value.name}'", ()) for value in self._model.graph.input)
        return *inputs, *(
            Value(name, describe(node), tuple(filter(None, node.input)))
            for node in self._model.graph.node
            for name in node.output
            if name in made
        )

    def _check_raised(self, came: onnx.ModelProto, raised: onnx.ModelProto, inputs: Sequence[Array]) -> None:
        """Quantization is not in what the import is compared to: what raising the opset did shows here."""
        if opset_of(came) == opset_of(raised):
            return
        feeds, kept = self._feeds(inputs), {name for node in raised.graph.node for name in node.output}
        made = [(node, name) for node in came.graph.node for name in node.output if name in kept]
        names = [name for _, name in made]
        try:
            before, after = (_onnxruntime(_with_outputs(m, names), names, feeds) for m in (came, raised))
        except Exception:  # as below
            return
        for (node, name), a, b in zip(made, map(np.asarray, before), map(np.asarray, after), strict=True):
            far = a.shape != b.shape or np.linalg.norm(a.astype(float) - b) > _RAISED * np.linalg.norm(a)
            if a.dtype.kind == "f" and far:
                raise ModelError(
                    f"{describe(node)} computes another '{name}' once opset {opset_of(came)} is raised to "
                    f"{opset_of(raised)}; export the model with opset {opset_of(raised)}"
                )

    def _check_bypassed(self, model: onnx.ModelProto, inputs: Sequence[Array]) -> None:
        known: dict[str, Array] = self._feeds(inputs)
        read = [name for pair in self._bypassed for name in (pair.source, pair.output)]
        names = [name for name in dict.fromkeys(read) if name not in known]
        try:
            known |= zip(names, _onnxruntime(_with_outputs(model, names), names, known), strict=True)
        except Exception:  # not installed, or a domain or type that it does not have
            return
        for pair in self._bypassed:
            clipped, want = np.clip(known[pair.source], pair.low, pair.high), known[pair.output]
            if np.abs(want - clipped).max(initial=0) > _HALF_A_STEP * pair.step:
                raise ModelError(
                    f"{pair.what} is imported wrongly: its results are {want.min():.6g} to {want.max():.6g} "
                    f"in the model and, rounded, {clipped.min():.6g} to {clipped.max():.6g} here; this is "
                    "a fault of the compiler, please report it; check_import=False imports it as it is"
                )

    def _feeds(self, inputs: Sequence[Array]) -> dict[str, Array]:
        return {value.name: array for value, array in zip(self._model.graph.input, inputs, strict=True)}

    def _run(self, names: list[str], inputs: Sequence[Array]) -> list[Array]:
        feeds = self._feeds(inputs)
        try:
            results = _onnxruntime(_with_outputs(self._model, names), names, feeds)
        except Exception:  # not installed, or an operator or type that it has no kernel for
            results = self._by_evaluator(names, feeds)
        return [np.asarray(result) for result in results]

    def _by_evaluator(self, names: list[str], feeds: dict[str, Array]) -> list[Any]:
        try:
            with np.errstate(all="ignore"):
                found: Any = ReferenceEvaluator(self._model).run(None, feeds, intermediate=True)
            return [found[name] for name in names]
        except Exception as error:
            raise ModelError(
                f"the {self.title} cannot be run to check its import, neither by onnxruntime nor by onnx: "
                f"{first_line(error)}; mend the model, or give check_import=False"
            ) from error


def _with_outputs(source: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    model = onnx.ModelProto()
    model.CopyFrom(source)
    known = {value.name: value for value in (*model.graph.output, *model.graph.value_info)}
    outputs = [known.get(name) or helper.make_empty_tensor_value_info(name) for name in names]
    copies = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in outputs]
    del model.graph.output[:]
    model.graph.output.extend(copies)
    return model


def _onnxruntime(model: onnx.ModelProto, names: list[str], feeds: dict[str, Array]) -> list[Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # its optimizations compute on integers, and round
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return list(session.run(names, feeds))
