"""Gives ONNX's Clip its Relax operators back: TVM's importer makes TIR functions of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import tvm
from tvm import relax

from tvm_vsq.graph import Rebuilder, constant_array, is_constant, op_name, replace_main
from tvm_vsq.tvm_compat import IRModule, Var


def restore_clips(module: IRModule) -> IRModule:
    """TIR functions "maximum" and "minimum" with a constant bound become relu or clip."""
    folded = relax.transform.FoldConstant()(module)  # bounds arrive as a test for NaN
    rebuilt = replace_main(folded, _RestoreClips(folded["main"]).run())
    return relax.transform.DeadCodeElimination()(rebuilt)


class _RestoreClips(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        kind, x, bound = _bound(value)
        if kind == "maximum":
            return _clip(x, bound, np.inf)
        if kind != "minimum":
            return value
        inner = self.value_of(x)
        if op_name(inner) == "relax.nn.relu" and self.is_read_once(x):
            return _clip(inner.args[0], 0.0, bound)
        if op_name(inner) == "relax.clip" and self.is_read_once(x) and float(inner.args[2].value) == np.inf:
            return _clip(inner.args[0], float(inner.args[1].value), bound)
        return _clip(x, -np.inf, bound)


def _clip(x: Any, low: float, high: float) -> Any:
    return relax.op.nn.relu(x) if (low, high) == (0.0, np.inf) else relax.op.clip(x, low, high)


def _bound(value: Any) -> tuple[str, Any, float]:
    """("maximum" or "minimum", tensor, bound) if `value` is a call of such a function, else ("", None, 0)."""
    if op_name(value) == "relax.call_tir":
        kind = str(value.args[0].name_hint).rstrip("_0123456789")
        operands = value.args[1]
        if kind in ("maximum", "minimum") and isinstance(operands, tvm.relax.Tuple) and len(operands) == 2:
            x, bound = operands.fields
            if is_constant(bound) and len(bound.ty.shape) == 0:
                return kind, x, float(constant_array(bound))
    return "", None, 0.0
