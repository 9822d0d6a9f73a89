"""Collects the nodes and constants of an ONNX graph, and keeps their names apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper


def element_type(dtype: str) -> int:
    """ONNX's number for a dtype such as float32 or bool."""
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


class Writer:
    """Nodes in order, initializers, and the next free name for each."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._taken: set[str] = set()
        self._shared: dict[tuple[str, str, tuple[int, ...], bytes], str] = {}

    def name(self, hint: str) -> str:
        """`hint`, or `hint` with a number if it is taken."""
        candidate, copy = hint, 1
        while candidate in self._taken:
            copy += 1
            candidate = f"{hint}_{copy}"
        self._taken.add(candidate)
        return candidate

    def constant(self, array: npt.NDArray[Any], hint: str = "constant") -> str:
        """The name of an initializer with these elements; equal ones are stored once."""
        packed = np.ascontiguousarray(array).reshape(array.shape)
        key = (hint, str(packed.dtype), packed.shape, packed.tobytes())
        if key not in self._shared:
            self._shared[key] = self.name(hint)
            self.initializers.append(numpy_helper.from_array(packed, self._shared[key]))
        return self._shared[key]

    def integers(self, values: Any) -> str:
        """The name of an int64 vector, as operators take axes and shapes."""
        return self.constant(np.array(list(values), np.int64), "integers")

    def scalar(self, value: float, dtype: str) -> str:
        """The name of a scalar."""
        return self.constant(np.array(value, dtype), "scalar")

    def node(self, kind: str, *inputs: str, hint: str = "", **attributes: Any) -> str:
        """Append a node with one output, and return its name."""
        return self.nodes_with(kind, 1, *inputs, hint=hint, **attributes)[0]

    def nodes_with(
        self, kind: str, outputs: int, *inputs: str, hint: str = "", **attributes: Any
    ) -> list[str]:
        """Append a node with several outputs, and return their names."""
        names = [self.name(hint or kind.lower()) for _ in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=names[0], **attributes))
        return names
