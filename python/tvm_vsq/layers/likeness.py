"""Which layers of two networks are the same, whatever their shapes: by the weights that they come after."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any

from tvm_vsq.graph import bindings, op_name, tensors
from tvm_vsq.network import layer_names, source_of
from tvm_vsq.network.source import becomes_weighted
from tvm_vsq.tvm_compat import IRModule, Var

_INPUT = "input"
_COPY = re.compile(r"#[0-9]+$")


def signatures(module: IRModule) -> dict[str, str]:
    """By its name, what each layer does, and to what.

    A layer with constant weights is known by its name; one that is called twice is the same twice. What moves
    elements, or changes them by constants alone, changes nothing here, nor do inputs that are put together
    with what layers give.
    """
    names = layer_names(module)
    found: dict[Any, str] = dict.fromkeys(module["main"].params, _INPUT)
    signed: dict[str, str] = {}
    for binding in bindings(module["main"]):
        var, value = binding.var, binding.value
        read = [found[x] for x in tensors(value) if isinstance(x, Var) and x in found]
        known = list(dict.fromkeys(each for each in read if each != _INPUT))
        source: Any = source_of(value)
        if source is not None and source.weights is not None and becomes_weighted(value):
            found[var] = f"weights of {_COPY.sub('', names[var])}"
        elif source is not None:
            found[var] = _digest(source.word, known)
        elif len(known) < 2:
            found[var] = known[0] if known else _INPUT
        else:
            found[var] = _digest(op_name(value), known)
        if var in names:
            signed[names[var]] = found[var]
    return signed


def _digest(word: str, operands: list[str]) -> str:
    return sha256("\n".join([word, *operands]).encode()).hexdigest()
