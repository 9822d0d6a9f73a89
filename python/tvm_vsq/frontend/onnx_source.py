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
from tvm_vsq.frontend.source import Array, Opened, Value


class OnnxSource:
    """See `source.Source`.

    model: what is run; as it came, but for shapes that example inputs fixed and quantization that was taken
    out. imported: what TVM was given for it.
    """

    examples = None

    def __init__(self, title: str, model: onnx.ModelProto, imported: onnx.ModelProto) -> None:
        self.title, self._model, self._imported = title, model, imported

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """One inference."""
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

    def _run(self, names: list[str], inputs: Sequence[Array]) -> list[Array]:
        feeds = {value.name: array for value, array in zip(self._model.graph.input, inputs, strict=True)}
        try:
            results = _onnxruntime(self._with_outputs(names), names, feeds)
        except Exception:  # not installed, or an operator or type that it has no kernel for
            results = self._by_evaluator(names, feeds)
        return [np.asarray(result) for result in results]

    def _with_outputs(self, names: list[str]) -> onnx.ModelProto:
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        known = {value.name: value for value in (*model.graph.output, *model.graph.value_info)}
        outputs = [known.get(name) or helper.make_empty_tensor_value_info(name) for name in names]
        copies = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in outputs]
        del model.graph.output[:]
        model.graph.output.extend(copies)
        return model

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
