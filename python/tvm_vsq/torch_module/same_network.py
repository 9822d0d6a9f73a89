"""Two modules of one network, quantized with the same settings: other values, maybe another batch size."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from tvm import relax

from tvm_vsq.errors import ModelError
from tvm_vsq.formats import QUANTIZED, WEIGHTS
from tvm_vsq.graph import Rebuilder, bindings, is_constant, op_name, replace_main, static_shape
from tvm_vsq.network import layer_names
from tvm_vsq.tvm_compat import Call, IRModule, Tuple, Var

_FORMATS = (*WEIGHTS.names, *QUANTIZED.names)


def with_values_of(module: IRModule, other: IRModule) -> IRModule:
    """`module` with all that calibration chose in `other`: constants, and the attributes of vsq.* operators.

    Raises ModelError naming the first difference if they are not of one network and the same formats.
    """
    batches = [_batch(module), _batch(other)]
    nothing = ("nothing more", None)
    for ours, theirs in zip_longest(_outline(module), _outline(other), fillvalue=nothing):
        if ours[0] != theirs[0] or not _fit(ours[1], theirs[1], *batches):
            raise ModelError(
                f"the state is of another network or of other settings: it has [{_text(theirs)}] where this "
                f"module has [{_text(ours)}]; load it into what fake_quantize makes of the same model with "
                "the same quant, and example_inputs that differ in the number of samples alone"
            )
    made = replace_main(module, _Adopt(module["main"], other["main"]).run())
    return IRModule(dict(made.functions_items()), attrs=other.attrs)


def _outline(module: IRModule) -> list[tuple[str, Any]]:
    """Inputs, operators and formats, and their types, which no value of a weight or of data changes."""
    function, names = module["main"], layer_names(module)
    inputs = [(f"input {p.name}, samples of {list(static_shape(p)[1:])},", p.ty) for p in function.params]
    lines = ((_line(binding.value, names.get(binding.var)), binding.var.ty) for binding in bindings(function))
    return [*inputs, *lines]


def _line(value: Any, layer: str | None) -> str:
    name = op_name(value)
    if layer is not None:
        return f"{name} layer={layer}"
    if not name.startswith("vsq."):
        return name
    attrs = dict(value.attrs)
    return " ".join([name, *(f"{field}={attrs[field]}" for field in _FORMATS if field in attrs)])


def _text(line: tuple[str, Any]) -> str:
    return line[0] if line[1] is None else f"{line[0]} {line[1]}"


def _batch(module: IRModule) -> int:
    """The samples in one run; 1 if the inputs have no common first axis."""
    shapes = [static_shape(param) for param in module["main"].params]
    extents = {shape[0] if shape else None for shape in shapes}
    return next(iter(extents)) or 1 if len(extents) == 1 else 1


def _fit(ours: Any, theirs: Any, batch: int, other_batch: int) -> bool:
    """Whether types are the same but for the number of samples."""
    if isinstance(ours, relax.TupleType) and isinstance(theirs, relax.TupleType):
        pairs = zip_longest(ours.fields, theirs.fields)
        return all(_fit(a, b, batch, other_batch) for a, b in pairs)
    if not isinstance(ours, relax.TensorType) or not isinstance(theirs, relax.TensorType):
        return ours is theirs is None
    extents = list(zip_longest(map(int, ours.shape), map(int, theirs.shape), fillvalue=0))
    return str(ours.dtype) == str(theirs.dtype) and all(
        a == b or a * other_batch == b * batch for a, b in extents
    )


class _Adopt(Rebuilder):
    def __init__(self, function: relax.Function, other: relax.Function) -> None:
        super().__init__(function)
        values = (binding.value for binding in bindings(other))
        self._others = dict(zip((binding.var for binding in bindings(function)), values, strict=True))

    def rewrite(self, var: Var, value: Any) -> Any:
        return _merged(value, self._others[var], var)


def _merged(value: Any, other: Any, var: Var) -> Any:
    if is_constant(value):
        if static_shape(value) != static_shape(other):
            raise ModelError(
                f"'{var.name}' reads a constant of {list(static_shape(value))}, but of "
                f"{list(static_shape(other))} in the state: it depends on the number of samples; give "
                f"fake_quantize example_inputs of the same shape"
            )
        return other
    if isinstance(value, Tuple):
        return Tuple([_merged(a, b, var) for a, b in zip(value.fields, other.fields, strict=True)])
    if not isinstance(value, Call):
        return value
    args = [_merged(a, b, var) for a, b in zip(value.args, other.args, strict=True)]
    attrs = other.attrs if op_name(value).startswith("vsq.") else value.attrs
    return Call(value.op, args, attrs, value.ty_args)
