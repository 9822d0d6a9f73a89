"""TVM's ONNX importer, made to name the node it fails at and the layers it makes."""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import Any

import onnx
from tvm import relax

from tvm_vsq.errors import ModelError, first_line
from tvm_vsq.frontend.onnx_converters import CONVERTERS
from tvm_vsq.frontend.onnx_nodes import describe
from tvm_vsq.graph import leaves, op_name
from tvm_vsq.network import source_of
from tvm_vsq.network.source import becomes_weighted
from tvm_vsq.tvm_compat import Call, IntImm, IRModule, Var
from tvm_vsq.tvm_onnx_compat import ONNXGraphImporter

ADVICE = "export the model without it, or with other operators in its place"


def import_graph(graph: onnx.GraphProto, opset: int) -> tuple[IRModule, dict[Var, str]]:
    """`graph` in Relax, and for each layer in it the first output of its node.

    Raises ModelError naming the node that has no form in Relax.
    """
    importer = _Importer()
    # it prints the operands of an operator that fails, and warns where it renames
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        return importer.from_onnx(graph, opset), importer.layers


_DTYPES = {"bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64))}
_DTYPES |= {"float16", "float32", "float64"}


class _Importer(ONNXGraphImporter):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__({}, "float32", sanitize=False)
        self.layers: dict[Var, str] = {}
        self.bb.match_cast = _refuse_dynamic

    def _check_for_unsupported_ops(self, graph: onnx.GraphProto) -> None:
        """Left to the conversion of each node."""

    def _construct_nodes(self, graph: onnx.GraphProto) -> None:
        for node in graph.node:
            part = onnx.GraphProto()
            part.node.append(node)
            try:
                super()._construct_nodes(part)
            except Exception as error:
                raise ModelError(
                    f"{describe(node)} has no form in TVM: {first_line(error)}; {ADVICE}"
                ) from error
            self._note(node)
            self._check_results(node)

    def _convert_operator(self, op_name: str, inputs: Any, attrs: dict[str, Any], opset: int) -> Any:
        own = CONVERTERS.get(op_name)
        result = own([*inputs, None, None, None], attrs) if own else NotImplemented
        if result is NotImplemented:
            result = super()._convert_operator(op_name, inputs, attrs, opset)
        # as a variable, it is computed once however many nodes read it
        is_tensor = isinstance(result, Call) and isinstance(self.bb.normalize(result).ty, relax.TensorType)
        return self.bb.emit(result) if is_tensor else self.bb.normalize(result)

    def _note(self, node: onnx.NodeProto) -> None:
        """Record the layers among what `node` became."""
        pending = [self._nodes[name] for name in node.output if name in self._nodes]
        seen = [self._nodes[name] for name in node.input if name]
        while pending:
            expr = pending.pop()
            if any(expr is other or (isinstance(expr, Var) and expr.same_as(other)) for other in seen):
                continue
            seen.append(expr)
            value = self.bb.lookup_binding(expr) if isinstance(expr, Var) else None
            if op_name(value) == "relax.call_tir":
                raise ModelError(
                    f"{describe(node)} has no operator in Relax, only a function of TVM's own; {ADVICE}"
                )
            if source_of(value) is not None or becomes_weighted(value):
                self.layers[expr] = node.output[0]
            pending.extend(
                leaves(value) if value is not None else leaves(expr) if not isinstance(expr, Var) else []
            )

    def _check_results(self, node: onnx.NodeProto) -> None:
        for name in node.output:
            kind = getattr(self._nodes.get(name), "ty", None)
            if not isinstance(kind, relax.TensorType) or not isinstance(kind.shape, relax.ShapeExpr):
                continue
            dtype, shape = (
                str(kind.dtype).removeprefix("T."),
                [n for n in kind.shape.values if isinstance(n, IntImm)],
            )
            if dtype not in _DTYPES:
                raise ModelError(f"{describe(node)} results in {dtype}, which cannot be run; {ADVICE}")
            if any(int(extent) < 1 for extent in shape):
                raise ModelError(
                    f"{describe(node)} results in a tensor {list(map(int, shape))} without elements; {ADVICE}"
                )


def _refuse_dynamic(*_args: Any) -> None:
    raise NotImplementedError("its shape depends on values at run time")
