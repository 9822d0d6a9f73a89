"""Small ONNX models, node by node."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
    """One node, named after its output."""
    return helper.make_node(kind, inputs, [output], name=f"{output}_node", **attributes)


def model(
    nodes: list[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    x: list[int | str],
    rank: int = 2,
    opset: int = 21,
) -> onnx.ModelProto:
    """A model from "x" to "y", which has `rank` axes."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [f"y{axis}" for axis in range(rank)])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def run(model: onnx.ModelProto, *inputs: np.ndarray, optimized: bool = True) -> list[np.ndarray]:
    """All results in ONNX Runtime.

    Optimized, DequantizeLinear and MatMul become MatMulNBits, which rounds its input to 8 bits as well.
    """
    options = onnxruntime.SessionOptions()
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [value.name for value in session.get_inputs()]
    results: list[np.ndarray] = session.run(None, dict(zip(names, inputs, strict=True)))
    return results


def two_level(
    rng: np.random.Generator, rows: tuple[int, ...], block_size: int = 16, qmax: int = 7, smax: int = 15
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Integer weights [K, ..., C]: elements int8, scales uint8 [K, ..., B], gamma float32 [K], and their
    value."""
    blocks = -(-rows[-1] // block_size)
    q = rng.integers(-qmax, qmax + 1, rows).astype(np.int8)
    s = rng.integers(1, smax + 1, (*rows[:-1], blocks)).astype(np.uint8)
    gamma = rng.uniform(0.005, 0.02, rows[0]).astype(np.float32)
    spread = s.repeat(block_size, axis=-1)[..., : rows[-1]]
    value = q.astype(np.float32) * spread * gamma.reshape(-1, *[1] * (len(rows) - 1))
    return q, s, gamma, value.astype(np.float32)


def int4(array: np.ndarray) -> np.ndarray:
    """As ONNX's INT4."""
    return array.astype(ml_dtypes.int4)


def dense(
    q: np.ndarray, s: np.ndarray, gamma: np.ndarray, form: str = "Gemm", block_size: int = 16, **more: Any
) -> onnx.ModelProto:
    """x [3, C] times two-level weights q [K, C]; `form` says how they lie in the graph."""
    axis = 1 if form in ("Gemm", "Transpose") else 0
    order = (lambda a: a) if axis else (lambda a: np.ascontiguousarray(a.T))
    nodes = [
        node("DequantizeLinear", ["s", "gamma"], "scale", axis=1 - axis),
        node("DequantizeLinear", ["fc.weight", "scale"], "w", axis=axis, block_size=block_size),
    ]
    if form == "Gemm":
        nodes.append(node("Gemm", ["x", "w"], "y", transB=1))
    elif form == "Transpose":
        nodes += [node("Transpose", ["w"], "wt", perm=[1, 0]), node("MatMul", ["x", "wt"], "y")]
    else:
        nodes.append(node(form.removesuffix("0"), ["x", "w"], "y"))
    constants = {"fc.weight": int4(order(q)), "s": order(s), "gamma": gamma, **more}
    return model(nodes, constants, [3, q.shape[1]])
