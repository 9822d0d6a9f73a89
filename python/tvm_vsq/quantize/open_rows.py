"""Removes guards against rows that minus infinity hides as a whole, where masks hide by finite numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq.graph import Rebuilder, definitions, replace_main
from tvm_vsq.layers.guards import bounded_mask
from tvm_vsq.network.masks import HIDES
from tvm_vsq.quantize.calibration import observe
from tvm_vsq.tvm_compat import IRModule, Var


def open_rows(module: IRModule, data: Any) -> IRModule:
    """`module` without the choice of zeros for rows that a mask of numbers hides, unless the calibration data
    show that it hides by minus infinity, or do not show how it hides.

    Scores' integers do not tell one from the other. torch gives zeros for a row of minus infinity, and equal
    probabilities for one of -1e9.
    """
    guards = {
        var: mask
        for var, call in definitions(module["main"]).items()
        if (mask := bounded_mask(call, definitions(module["main"]))) is not None
    }
    if not guards or data is None:
        return module
    masks = list(dict.fromkeys(guards.values()))
    least = np.zeros(len(masks))
    for arrays in observe(module, masks, data):
        least = np.minimum(least, [array.min() for array in arrays])
    finite = {mask for mask, low in zip(masks, least, strict=True) if -np.inf < low <= HIDES}
    gone = {var for var, mask in guards.items() if mask in finite}
    return replace_main(module, _Remove(module["main"], gone).run())


class _Remove(Rebuilder):
    def __init__(self, function: relax.Function, gone: set[Var]) -> None:
        super().__init__(function)
        self._gone = gone

    def rewrite(self, var: Var, value: Any) -> Any:
        return value.args[1] if var in self._gone else value
