"""The second operand of a product of two activations: what the graph holds is transposed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm_vsq.graph import op_name
from tvm_vsq.tvm_compat import Var


def before_transposition(operand: Any, values: Mapping[Any, Any]) -> Any:
    """The tensor of which `operand` exchanges the last two axes; None if it is something else."""
    call: Any = values.get(operand) if isinstance(operand, Var) else None
    if op_name(call) != "relax.permute_dims" or call.attrs.axes is None:
        return None
    axes = [int(axis) for axis in call.attrs.axes]
    *leading, last, before = axes
    exchanged = len(axes) >= 2 and [*leading, before, last] == list(range(len(axes)))
    return call.args[0] if exchanged else None
