"""Gives sums that are normalized operands with more bits than vectors of few bits have.

What a normalization gives is read by matrix products, as vectors, and added to what these make of it. In
vectors of 4 bits, that sum alone costs a small encoder 2 dB (docs/quantization.md, section 1). So the
normalization is done a second time, for the sum: as numbers of 32 bits, which never become vectors.
"""

from __future__ import annotations

from typing import Any

from tvm_vsq.graph import bindings, definitions, op_name, static_shape, substitute, tensors
from tvm_vsq.network import source_of
from tvm_vsq.network.rebuild import FinalRebuilder
from tvm_vsq.tvm_compat import IRModule, Var


def widen_residuals(module: IRModule) -> IRModule:
    """`module`, where what is normalized, read by others and added to what is normalized next is computed
    twice.
    """
    return _Widen(module).rebuilt()


class _Widen(FinalRebuilder):
    def __init__(self, module: IRModule) -> None:
        super().__init__(module)
        function = module["main"]
        self._calls: Any = definitions(function)
        readers: dict[Var, list[Var]] = {}
        for binding in bindings(function):
            for operand in tensors(binding.value):
                if isinstance(operand, Var):
                    readers.setdefault(operand, []).append(binding.var)
        self._added = {
            total: x
            for total, call in self._calls.items()
            if op_name(call) == "relax.add" and self._becomes_rows(readers.get(total, []))
            for x in call.args
            if isinstance(x, Var)
            and self._is_norm(x)
            and len(readers[x]) > 1
            and static_shape(x) == static_shape(total)
        }

    def _becomes_rows(self, readers: list[Var]) -> bool:
        return len(readers) == 1 and self._is_norm(readers[0])

    def _is_norm(self, x: Var) -> bool:
        source = source_of(self._calls.get(x))
        return (
            source is not None
            and source.rows is not None
            and source.rows.at_end
            and not source.rows.keeps_unit
        )

    def rewrite(self, var: Var, value: Any) -> Any:
        x = self._added.get(var)
        if x is None:
            return value
        again = self.add(self.value_of(self.new(x)), f"{self.names.get(x, '')}/sum")
        return substitute(value, {self.new(x): again})
