"""Keeps streams of residuals as numbers of 32 bits where norms read them, and no layer.

A network that normalizes in front of its layers adds what these make to one stream, which only norms and the
next sums read. No vectors are needed of it: it is a sum of wide numbers, as norms read them
(docs/numerics.md, section 7).
"""

from __future__ import annotations

from typing import Any

from tvm_vsq.graph import bindings, definitions, dtype_of, op_name, static_shape, tensors
from tvm_vsq.layers.chains import planned_chains
from tvm_vsq.network import layer_names, refusal, source_of
from tvm_vsq.network.rebuild import FinalRebuilder
from tvm_vsq.network.wide_sum import add_rows
from tvm_vsq.tvm_compat import IRModule, Tuple, Var

_MOVES = ("relax.permute_dims", "relax.reshape")


def widen_streams(module: IRModule) -> IRModule:
    """`module`, where sums are rows that norms, and others of these sums, read, besides what is no layer;
    and so is the network's result, if it is the last one of them.
    """
    return _Widen(module).rebuilt()


class _Widen(FinalRebuilder):
    def __init__(self, module: IRModule) -> None:
        super().__init__(module)
        function = module["main"]
        self._calls = values = dict[Any, Any](definitions(function))
        readers: dict[Any, list[Var]] = {function.body.body: []}
        for binding in bindings(function):
            for operand in tensors(binding.value):
                readers.setdefault(operand, []).append(binding.var)
        self._made = made = _results(module)
        self._streams: set[Var] = set()
        sums: set[Var] = set()  # of which no vectors are read, streams and those that only a norm reads
        for var in reversed(values):
            call, reading = values[var], readers.get(var, [])
            if op_name(call) != "relax.add" or not _is_of_equals(var, call) or made.isdisjoint(call.args):
                continue
            norms = [reader for reader in reading if _is_norm(values[reader])]
            others = [reader for reader in reading if reader not in norms]
            ends = self._is_given(var, readers) and self._ends_stream(call, readers)
            if not (reading or ends) or not all(x in sums or not _is_layer(values[x]) for x in others):
                continue
            if norms or ends or not sums.isdisjoint(others):
                sums.add(var)
                if len(reading) > 1 or ends:
                    self._streams.add(var)

    def _is_given(self, var: Var, readers: dict[Any, list[Var]]) -> bool:
        """Whether the network gives `var`, perhaps with its axes moved, and nothing else reads it."""
        if var.same_as(self.old.body.body):
            return True
        return bool(readers.get(var)) and all(
            (isinstance(self._calls[reader], Tuple) or op_name(self._calls[reader]) in _MOVES)
            and self._is_given(reader, readers)
            for reader in readers[var]
        )

    def _ends_stream(self, last: Any, readers: dict[Any, list[Var]]) -> bool:
        """Whether the sum that the network gives is of one that a norm reads, too: the end of a stream."""
        return any(
            op_name(self._calls.get(x)) == "relax.add" and any(_is_norm(self._calls[r]) for r in readers[x])
            for x in last.args
        )

    def rewrite(self, var: Var, value: Any) -> Any:
        if var not in self._streams:
            return value
        old = self._calls[var].args
        # what a layer makes first, so that it can be added where that is
        order = [0, 1] if old[0] in self._made else [1, 0]
        return self.keep(self.emit(add_rows(*(value.args[place] for place in order))), var)


def _results(module: IRModule) -> set[Any]:
    """What layers give, if nothing is added to it."""
    function = module["main"]
    values = definitions(function)
    layers = [
        var for var in layer_names(module) if not refusal(values[var]) and op_name(values[var]) != "relax.add"
    ]
    found: set[Any] = set()
    for chain in planned_chains(function, layers):
        found.add(chain.output if chain.residual_add is None else chain.anchor)
        if chain.residual_add is not None:
            found.update(x for x in values[chain.residual_add].args if x != chain.residual)
    return found


def _is_of_equals(var: Var, call: Any) -> bool:
    """Whether two tensors of rows, and of the result's shape, are added."""
    shape = static_shape(var)
    is_rows = len(shape) > 1 and dtype_of(var) == "float32"
    return is_rows and all(isinstance(x, Var) and static_shape(x) == shape for x in call.args)


def _is_norm(call: Any) -> bool:
    source = source_of(call)
    return (
        source is not None and source.rows is not None and source.rows.at_end and not source.rows.keeps_unit
    )


def _is_layer(call: Any) -> bool:
    source = source_of(call)
    return source is not None and not source.refusal(call, source.has_constant_weights(call))
