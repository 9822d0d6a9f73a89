"""What a function is: its code, and the values that it holds or names."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tvm_vsq.explore.keys import digest

_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_DEPTH = 12


def function_digest(function: Any) -> str:
    """Of `evaluate`: of its own `digest` if it has one, else of its code with constants, defaults, the values
    that it encloses and the globals that it names, and theirs. What it reads from files is not seen.
    """
    if function is None:
        return ""
    if isinstance(own := getattr(function, "digest", None), str):
        return own
    return digest(*_parts(function, 0, set()))


def _parts(value: Any, depth: int, seen: set[int]) -> Iterator[str | bytes]:
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    yield kind
    if isinstance(value, _PLAIN):
        yield repr(value)
        return
    if id(value) in seen or depth > _DEPTH:
        return
    seen.add(id(value))
    if isinstance(own := getattr(value, "digest", None), str):
        yield own
    elif isinstance(value, types.FunctionType):
        yield from _of_function(value, depth, seen)
    elif isinstance(value, types.MethodType):
        yield from _all((value.__func__, value.__self__), depth, seen)
    elif isinstance(value, types.ModuleType | types.BuiltinFunctionType | type):
        yield value.__name__
    elif (array := _array(value)) is not None:
        yield str((array.dtype, array.shape))
        yield np.ascontiguousarray(array).tobytes()
    elif isinstance(value, Mapping):
        yield from _all([part for pair in value.items() for part in pair], depth, seen)
    elif isinstance(value, list | tuple):
        yield from _all(value, depth, seen)
    elif isinstance(value, set | frozenset):
        yield repr(sorted(map(repr, value)))
    else:
        yield from _parts(getattr(value, "__dict__", None), depth + 1, seen)
        call = vars(type(value)).get("__call__")
        if isinstance(call, types.FunctionType):
            yield from _of_function(call, depth, seen)


def _all(values: Any, depth: int, seen: set[int]) -> Iterator[str | bytes]:
    for value in values:
        yield from _parts(value, depth + 1, seen)


def _of_function(function: types.FunctionType, depth: int, seen: set[int]) -> Iterator[str | bytes]:
    code = function.__code__
    yield from _of_code(code)
    cells = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
    names = sorted(_names(code) & function.__globals__.keys())
    values = (function.__defaults__, function.__kwdefaults__, *cells)
    yield from _all((*values, *(function.__globals__[name] for name in names)), depth, seen)


def _of_code(code: types.CodeType) -> Iterator[str | bytes]:
    yield code.co_code
    yield repr((code.co_names, code.co_varnames, code.co_freevars))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _of_code(constant)
        else:
            yield repr(sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant)


def _names(code: types.CodeType) -> set[str]:
    inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def _is_filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


def _array(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return None if value.dtype.hasobject else value
    if type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "detach"):
        return value.detach().cpu().numpy()
    return None
