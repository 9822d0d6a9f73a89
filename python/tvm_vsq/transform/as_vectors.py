"""Inputs that are taken, and results that are given, as the vectors that they are stored as.

So what one program gives can be kept, and given to another one, without being rounded again: fp32 numbers
that stand for vectors are no such way, since the scale that a vector was stored with need not be the
smallest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tvm_ffi
from tvm import relax

from tvm_vsq.errors import QuantizationError
from tvm_vsq.graph import bindings, definitions, leaves, op_name, replace_main, static_shape, substitute
from tvm_vsq.placement.moves import Move, move_of, moved_operands
from tvm_vsq.tvm_compat import IRModule, Tuple, Var


def as_vectors(module: IRModule, vectors: Sequence[str | int]) -> IRModule:
    """The fused `module`, whose inputs of these names, and results of these numbers, are int16[..., CV, V+1].

    Raises QuantizationError for a name or number that there is not, an input that something reads as fp32,
    and a result that no layer stores as vectors.
    """
    if not vectors:
        return module
    function = module["main"]
    values: Any = definitions(function)
    given = _inputs(function, [name for name in vectors if isinstance(name, str)])
    results = _results(function, values, [number for number in vectors if not isinstance(number, str)])
    new_of: dict[Var, Any] = {}
    params = []
    for param in function.params:
        quantized = given.get(param, [])
        if quantized:
            params.append(relax.Var(param.name, quantized[0].ty))
            new_of |= dict.fromkeys(quantized, params[-1])
        else:
            params.append(param)
    builder = relax.BlockBuilder()
    with builder.function("main", params, attrs=dict(function.attrs)):
        with builder.dataflow():
            for binding in bindings(function):
                if binding.var in new_of or binding.var.same_as(function.body.body):
                    continue
                new_of[binding.var] = builder.emit(substitute(binding.value, new_of))
            found = [
                field.emit(builder, new_of) if isinstance(field, _Moved) else substitute(field, new_of)
                for field in results
            ]
            is_tuple = isinstance(function.ret_ty, relax.TupleType)
            output = builder.emit_output(Tuple(found) if is_tuple else found[0])
        builder.emit_func_output(output)
    made = replace_main(module, builder.get()["main"])
    return relax.transform.DeadCodeElimination()(made)


def _inputs(function: relax.Function, names: Sequence[str]) -> dict[Var, list[Var]]:
    """By input, the variables that its quantization is bound to."""
    by_name = {str(param.name): param for param in function.params}
    found: dict[Var, list[Var]] = {}
    for name in names:
        if name not in by_name:
            raise QuantizationError(f"vectors: no input is called '{name}'; there are {', '.join(by_name)}")
        param = by_name[name]
        readers = [b for b in bindings(function) if any(leaf.same_as(param) for leaf in leaves(b.value))]
        calls = [reader.value for reader in readers]
        if not calls or any(op_name(call) != "vsq.quantize" for call in calls):
            read = ", ".join(sorted({op_name(call) for call in calls} - {"vsq.quantize"})) or "nothing"
            raise QuantizationError(
                f"vectors: input '{name}' is read by {read} on the CPU, and not as vectors alone; put it "
                f"together with what a layer gives, along whole vectors, or leave it in fp32"
            )
        if any(dict(call.attrs) != dict(calls[0].attrs) for call in calls):
            raise QuantizationError(f"vectors: layers read input '{name}' as vectors in several forms")
        found[param] = [reader.var for reader in readers]
    return found


def _results(function: relax.Function, values: Any, numbers: Sequence[int]) -> list[Any]:
    """What the function gives, field by field, vectors where these are asked for."""
    body = function.body.body
    value = values.get(body, body)
    fields = list(value.fields) if isinstance(value, Tuple) else [body]
    for number in numbers:
        if not 0 <= number < len(fields):
            raise QuantizationError(f"vectors: there is no result {number}; there are {len(fields)}")
        fields[number] = _Moved.of(fields[number], values, number)
    return fields


@dataclass(frozen=True)
class _Moved:
    """`vectors` with `moves` behind them."""

    vectors: Var
    moves: tuple[Move, ...]

    @staticmethod
    def of(field: Any, values: Any, number: int) -> _Moved:
        """What result `number` stands for, which may be moved as fp32 numbers."""
        moves: list[Any] = []
        while len(moved_operands(values.get(field))) == 1 and op_name(values[field]) != "vsq.dequantize":
            moves.insert(0, values[field])
            field = values[field].args[0]
        call = values.get(field)
        if op_name(call) != "vsq.dequantize":
            raise QuantizationError(
                f"vectors: result {number} is given by {op_name(call) or 'an input'}, and no layer stores it "
                f"as vectors; leave it in fp32"
            )
        vectors = call.args[0]
        found = [move_of(move, static_shape(vectors)[-1] - 1) for move in moves]
        if any(move is None for move in found):
            raise QuantizationError(
                f"vectors: result {number} is made of vectors that are taken apart; leave it in fp32"
            )
        return _Moved(vectors, tuple(move for move in found if move is not None))

    def emit(self, builder: relax.BlockBuilder, new_of: dict[Var, Any]) -> Any:
        """The same on vectors; what moves them so for layers is not there twice."""
        result = substitute(self.vectors, new_of)
        for move in self.moves:
            call = builder.normalize(move.on_records([result]))
            found = [var for var in new_of.values() if _is_bound_to(builder, var, call)]
            result = found[0] if found else builder.emit(call)
        return result


def _is_bound_to(builder: relax.BlockBuilder, var: Any, call: Any) -> bool:
    value = builder.lookup_binding(var) if isinstance(var, Var) else None
    return op_name(value) == op_name(call) and bool(tvm_ffi.structural_equal(value, call))
