"""Linear layers behind which attention exchanges images and rows, on rows of each image instead.

torch's transformers have sequences first, [L, N, C], unless batch_first=True. Attention wants the rows of
each image together, and a layer stores its result transposed only for each image by itself.
"""

from __future__ import annotations

from typing import Any

from tvm import relax

from tvm_vsq.frontend.permutes import order_of
from tvm_vsq.graph import count_uses, definitions, is_constant, op_name, static_shape
from tvm_vsq.network import LayerRebuilder, facts_of
from tvm_vsq.tvm_compat import Call, IRModule, Var


def images_first(module: IRModule) -> IRModule:
    """`permute(reshape(linear(x)))`, where the reshape splits the channels of x, [L, N, C], and N comes first
    then, reads a linear layer of the permuted x. A bias and operators on each element may be in between.
    """
    return _ImagesFirst(module).rebuilt()


class _ImagesFirst(LayerRebuilder):
    def __init__(self, module: IRModule) -> None:
        super().__init__(module)
        function = module["main"]
        self._calls: Any = definitions(function)
        self._uses = count_uses(function)
        self._turned: dict[Var, Any] = {}
        self._chains: dict[Var, list[Var]] = {}
        self._gone: dict[Var, Var] = {}
        for var, value in self._calls.items():
            chain = self._chain(value)
            if chain:
                self._chains[var] = chain
                self._gone |= dict.fromkeys(chain, self._calls[chain[0]].args[0])

    def _chain(self, value: Any) -> list[Var]:
        """From a linear layer to the reshape that `value` permutes; empty if it is something else."""
        if op_name(value) != "relax.permute_dims" or order_of(value)[0] != 1:
            return []
        found, x = [], value.args[0]
        while isinstance(x, Var) and x in self._calls and self._uses[x] == 1:
            found.append(x)
            call = self._calls[x]
            if op_name(call) == "relax.matmul" and is_constant(call.args[1]):
                is_sequences = len(static_shape(x)) == _SEQUENCES and isinstance(call.args[0], Var)
                return found[::-1] if is_sequences and len(found) > 1 else []
            is_split = op_name(call) == "relax.reshape"
            if is_split != (len(found) == 1) or (is_split and not _splits_channels(call, x)):
                return []
            if not is_split and not is_of_channels(call, x):
                return []
            x = next(arg for arg in call.args if not is_constant(arg))
        return []

    def rewrite(self, var: Var, value: Any) -> Any:
        if var in self._gone:
            return self.new(self._gone[var])  # nothing reads it any more
        chain = self._chains.get(var)
        if chain is None:
            return value
        x: Any = None
        for each in chain:
            call, shape = self._calls[each], static_shape(each)
            if op_name(call) == "relax.matmul":
                of = self._exchanged(self.new(call.args[0]))
                x = self.layer(Call(call.op, [of, call.args[1]], call.attrs), self.name_of(each))
            elif op_name(call) == "relax.reshape":
                x = self.emit(relax.op.reshape(x, [shape[1], shape[0], *shape[2:]]))
            else:
                args = [arg if is_constant(arg) else x for arg in call.args]
                x = self.emit(Call(call.op, args, call.attrs))
        order = [{0: 1, 1: 0}.get(axis, axis) for axis in order_of(self._calls[var])]
        return x if order == sorted(order) else relax.op.permute_dims(x, order)

    def _exchanged(self, x: Var) -> Any:
        """`x` with its first two axes exchanged."""
        if x not in self._turned:
            call: Any = self.value_of(x)
            is_exchanged = op_name(call) == "relax.permute_dims" and order_of(call) == _EXCHANGE
            self._turned[x] = call.args[0] if is_exchanged else self.emit(relax.op.permute_dims(x, _EXCHANGE))
        return self._turned[x]


_SEQUENCES = 3
_EXCHANGE = [1, 0, 2]


def _splits_channels(call: Any, result: Var) -> bool:
    before, after = static_shape(call.args[0]), static_shape(result)
    return len(before) == _SEQUENCES < len(after) and before[:2] == after[:2]


def is_of_channels(call: Any, result: Var) -> bool:
    """Whether an operator is on each element, with constants for each channel or all of them alike."""
    kind = facts_of(call).elementwise
    constants = [arg for arg in call.args if is_constant(arg)]
    if len(call.args) - len(constants) != 1 or kind not in (1, 2):
        return False
    return all(static_shape(arg)[:-1].count(1) == len(static_shape(arg)[:-1]) for arg in constants)
