"""Finds the first operator whose import computes something else than the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tvm

from tvm_vsq.errors import ModelError
from tvm_vsq.frontend.canonical import STEPS
from tvm_vsq.frontend.masked_scores import masks_to_sums
from tvm_vsq.frontend.source import Array, Opened, Source
from tvm_vsq.importing.compare import TOLERANCE, described, difference
from tvm_vsq.importing.run import recomputed, results_of
from tvm_vsq.tvm_compat import IRModule, Var

_REPORT = "this is a fault of the compiler, please report it; check_import=False imports the model as it is"
_ADVICE = (
    "replace the operator by others, or export the model without it; check_import=False imports it as it is"
)
_CAUSES: dict[Any, str] = {
    masks_to_sums: "where numbers in two masks hide a row of scores as a whole, but only together, places "
    "are all equal in the import, and in the model those that one of them leaves; leave a place of each row "
    "visible, or put the masks together as truth values (logical_and); check_import=False imports it as it is"
}
"""What makes a pass change the results though it does what it says."""


def locate(source: Source, raw: IRModule, inputs: Sequence[Array], expected: Sequence[Array]) -> None:
    """Raise a ModelError that names the operator of the model, or the pass of ours, that changes the results.

    raw: the import before the canonical form. Returns if each operator by itself, given what the model gives
    it, computes what the model does: then only rounding adds up.
    """
    opened = source.opened()
    rounds = opened is not None and _check_operators(source, opened, inputs)
    _check_passes(source.title, raw, opened, inputs)
    if not rounds:
        again = source.run(inputs)
        if any(difference(a, b) > TOLERANCE for a, b in zip(expected, again, strict=True)):
            raise ModelError(
                f"the results of the {source.title} change from call to call (random numbers, or state that "
                "its forward keeps somewhere); a compiled network has neither"
            )
        got = results_of(raw, inputs)
        raise ModelError(
            f"the import of the {source.title} returns other results, though every operator is right: "
            + "; ".join(
                f"result {position} {described(a, b, 'here')}"
                for position, (a, b) in enumerate(zip(expected, got, strict=True))
                if difference(a, b) > TOLERANCE
            )
            + f"; {_REPORT}"
        )


def _check_operators(source: Source, opened: Opened, inputs: Sequence[Array]) -> bool:
    """Raise for the first operator that differs by itself, from the operands that the model gives it.

    Returns whether there are tensors that differ though no operator does.
    """
    main = opened.module["main"]
    variables = _results(opened.module)
    known = dict(zip((value.name for value in opened.values), variables, strict=True))
    truth = dict(zip(known, source.inside(inputs), strict=True))
    computed = results_of(opened.module, inputs)
    params = dict(zip(main.params, inputs, strict=True))
    differs = False
    for value, variable, got in zip(opened.values, variables, computed, strict=True):
        want = truth[value.name]
        if difference(want, got) <= TOLERANCE:
            continue
        differs = True
        operands = {known[name]: truth[name] for name in value.operands if isinstance(known.get(name), Var)}
        if isinstance(variable, Var) and variable not in operands and want.shape == got.shape:
            alone = recomputed(opened.module, variable, params | operands)
            got = got if alone is None else alone
        error = difference(want, got)
        if error > TOLERANCE:
            raise ModelError(
                f"{value.what} of the {source.title} is imported wrongly: its result "
                f"{described(want, got, 'here')} (relative difference {error:.2g}, 2-norm); {_ADVICE}"
            )
    return differs


def _results(module: IRModule) -> list[Any]:
    body: Any = module["main"].body.body
    values = {b.var: b.value for block in module["main"].body.blocks for b in block.bindings}
    return list(values.get(body, body).fields)


def _check_passes(title: str, module: IRModule, opened: Opened | None, inputs: Sequence[Array]) -> None:
    """Raise for the first pass to the canonical form that changes the results."""
    expected = results_of(module, inputs)
    for count, step in enumerate(STEPS, 1):
        module = step(module)
        for position, (want, got) in enumerate(zip(expected, results_of(module, inputs), strict=True)):
            error = difference(want, got)
            if error > TOLERANCE:
                name = step.info.name if isinstance(step, tvm.transform.Pass) else step.__name__
                raise ModelError(
                    f"result {position} of the {title} {described(want, got, f'after the pass {name!r}')}"
                    f"{'' if opened is None else _first_changed(opened, count, inputs)} "
                    f"(relative difference {error:.2g}, 2-norm); {_CAUSES.get(step, _REPORT)}"
                )


def _first_changed(opened: Opened, count: int, inputs: Sequence[Array]) -> str:
    """Whose result it is that the first `count` passes change first, in words; empty if they do so only where
    the other results are not asked for."""
    module = opened.module
    expected = results_of(module, inputs)
    for step in STEPS[:count]:
        module = step(module)
    got = results_of(module, inputs)
    for value, want, have in zip(opened.values, expected, got, strict=True):
        if difference(want, have) > TOLERANCE:
            return f", first in the result of {value.what}"
    return ""
