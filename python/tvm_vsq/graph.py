"""Reads and rebuilds straight-line Relax functions: one dataflow block, bindings in order, no branches.

Every module that leaves the frontend has this form, so passes work on a plain list of bindings and need no
general expression visitor.

Arrays of TVM are sliced before they are walked: that reads all elements at once, in a third of the time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from tvm_vsq.tvm_compat import Call, GenericConst, IRModule, Op, Tuple, Var


def bindings(function: relax.Function) -> Iterator[relax.VarBinding]:
    """The bindings of `function`, in program order."""
    for block in function.body.blocks:
        yield from block.bindings[:]


def definitions(function: relax.Function) -> dict[Var, relax.Expr]:
    """What each variable of `function` is bound to (parameters have no entry)."""
    return {binding.var: binding.value for binding in bindings(function)}


def op_name(expr: Any) -> str:
    """`relax.add`, `vsq.conv2d`, ...; empty if `expr` is not a call of an operator."""
    return str(expr.op.name) if isinstance(expr, Call) and isinstance(expr.op, Op) else ""


def is_constant(expr: Any) -> bool:
    """Whether `expr` is a tensor constant."""
    return isinstance(expr, GenericConst)


def constant_array(expr: GenericConst) -> npt.NDArray[Any]:
    """A copy of the constant's elements."""
    return np.array(expr.value.numpy())


def constant(array: npt.NDArray[Any]) -> GenericConst:
    """A tensor constant of the array's shape and dtype."""
    return relax.const(np.array(array, order="C"), str(array.dtype))


def static_shape(expr: Any) -> tuple[int, ...]:
    """Shape of a tensor expression all of whose dimensions are known."""
    return tuple([int(extent) for extent in expr.ty.shape.values[:]])


def dtype_of(expr: Any) -> str:
    """Element type of a tensor expression, for example `float32`."""
    return str(expr.ty.dtype).removeprefix("T.")


def leaves(expr: Any) -> list[Any]:
    """The operands of a bound expression, nested tuples flattened."""
    if isinstance(expr, Var):  # most are
        return [expr]
    if isinstance(expr, Call):
        return [leaf for arg in expr.args[:] for leaf in leaves(arg)]
    if isinstance(expr, Tuple):
        return [leaf for field in expr.fields[:] for leaf in leaves(field)]
    if isinstance(expr, relax.TupleGetItem):
        return leaves(expr.tuple_value)
    return [expr]


def tensors(expr: Any) -> list[Any]:
    """The variables and constants among the operands: no axes and other numbers."""
    return [leaf for leaf in leaves(expr) if isinstance(leaf, Var) or is_constant(leaf)]


def count_uses(function: relax.Function) -> Counter[Var]:
    """How often each variable is read; the function's result counts as one read."""
    uses: Counter[Var] = Counter([function.body.body])
    for binding in bindings(function):
        uses.update(leaf for leaf in leaves(binding.value) if isinstance(leaf, Var))
    return uses


def substitute(expr: Any, new_of: dict[Var, Any]) -> Any:
    """`expr` with its variables replaced through `new_of`."""
    if isinstance(expr, Var):
        return new_of.get(expr, expr)
    if isinstance(expr, Call):
        args = [substitute(arg, new_of) for arg in expr.args[:]]
        return Call(expr.op, args, expr.attrs, expr.ty_args)
    if isinstance(expr, Tuple):
        return Tuple([substitute(field, new_of) for field in expr.fields])
    if isinstance(expr, relax.TupleGetItem):
        return relax.TupleGetItem(substitute(expr.tuple_value, new_of), expr.index)
    return expr


class Rebuilder:
    """Base of a pass: copies a function binding by binding; subclasses override `rewrite`.

    Several blocks become one; `result` may append to what the function returns.

    `old` is the function that is read, `uses` counts the reads of its variables, `value_of` gives what a
    variable of the *new* function is bound to.
    """

    def __init__(self, function: relax.Function) -> None:
        self.old = function
        self.uses = count_uses(function)
        self._builder = relax.BlockBuilder()
        self._new_of: dict[Var, Any] = {}
        self._values: dict[Var, Any] = {}
        self._reads: Counter[Var] = Counter({param: self.uses[param] for param in function.params})

    def rewrite(self, var: Var, value: Any) -> Any:
        """The expression `var` is bound to in the new function; operands of `value` are new already."""
        return value

    def emit(self, expr: Any) -> Var:
        """Bind an intermediate value, read once, to a fresh variable of the new function."""
        var = self._bind(expr)
        self._reads[var] = 1
        return var

    def _bind(self, expr: Any) -> Var:
        var = self._builder.emit(expr)
        self._values[var] = expr
        return var

    def value_of(self, expr: Any) -> Any:
        """What a new variable is bound to; constants, parameters and the like are returned as they are."""
        return self._values.get(expr, expr) if isinstance(expr, Var) else expr

    def is_read_once(self, var: Any) -> bool:
        """Whether a new variable stands for a value that the old function reads exactly once."""
        return self._reads[var] == 1

    def new(self, var: Var) -> Any:
        """The new counterpart of a variable of the old function."""
        return self._new_of.get(var, var)

    def result(self, value: Any) -> Any:
        """The new function's result, given the counterpart of the old one."""
        return value

    def run(self) -> relax.Function:
        """Rebuild the function; its attributes are kept."""
        builder, old = self._builder, self.old
        with builder.function("main", list(old.params), attrs=dict(old.attrs) if old.attrs else None):
            with builder.dataflow():
                steps = list(bindings(old))
                for binding in steps:
                    value = self.rewrite(binding.var, substitute(binding.value, self._new_of))
                    is_result = binding is steps[-1] and binding.var.same_as(old.body.body)
                    value = value if is_result or _is_leaf(value) else self._bind(value)
                    self._new_of[binding.var] = value
                    if isinstance(value, Var):
                        self._reads[value] += self.uses[binding.var]
                output = builder.emit_output(self.result(self.new(old.body.body)))
            builder.emit_func_output(output)
        return builder.get()["main"]


def _is_leaf(expr: Any) -> bool:
    return isinstance(expr, Var) or is_constant(expr)


def replace_main(module: IRModule, function: relax.Function) -> IRModule:
    """`module` with another "main"; the module's attributes are kept."""
    functions = dict(module.functions_items())
    functions[module.get_global_var("main")] = function
    return IRModule(functions, attrs=module.attrs)
