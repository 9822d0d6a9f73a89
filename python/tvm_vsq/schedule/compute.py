"""A layer as a tensor expression: copies into scratchpads, what the body computes, what follows, copy back.

Every vector keeps its lane axis of V + 1 (elements, then the scale), so that one scratchpad entry is one row.
"""

from __future__ import annotations

from typing import Any

from tvm import te, tirx

from tvm_vsq.schedule.access import Operand
from tvm_vsq.schedule.memories import entry_of
from tvm_vsq.schedule.nest import LoopNest

RESULT = "result"


def pad_block(name: str) -> str:
    """The block that copies an operand into its scratchpad."""
    return f"{name}_sp"


def scope_of(name: str) -> str:
    """The storage scope of an operand; by it, lowered buffers are known again."""
    return f"local.{name}"


def operand_of(scope: str) -> str:
    """Inverse of scope_of."""
    return scope.removeprefix("local.")


def layer_func(nest: LoopNest) -> Any:
    """PrimFunc of the operands that are loaded, in their order, and the result; unscheduled.

    Blocks: one named by pad_block for each load, "acc" accumulates, "finish" makes results, RESULT copies
    them out.
    """
    arguments, pads = [], {}
    for operand in nest.loads:
        entry = entry_of(operand.scratchpad, nest.hardware)
        source = te.placeholder((*operand.extents, *entry.shape), entry.dram_dtype, operand.name)
        arguments.append(source)
        pads[operand.name] = source if operand.direct else loaded(source, operand, nest)
    finished = nest.finish.compute(nest, nest.body.compute(nest, pads), pads)
    return te.create_prim_func([*arguments, _copy(finished, RESULT)])


def _copy(source: Any, name: str) -> Any:
    return te.compute(source.shape, lambda *i: source[i], name=name)


def loaded(source: Any, operand: Operand, nest: LoopNest) -> Any:
    """The whole operand with its border of zeros, cut to the positions that iterations use."""
    name, axes = pad_block(operand.name), operand.axes
    if all(axis.is_plain for axis in axes):
        return _copy(source, name)
    spans = [axis.span(nest.extents) for axis in axes]

    def element(*index: Any) -> Any:
        place, lanes = list(index[: len(axes)]), index[len(axes) :]
        inside = []
        for i, axis in enumerate(axes):
            if not axis.is_plain:
                place[i] = place[i] * axis.step - axis.border
                inside += [place[i] >= 0, place[i] < axis.extent]
        return tirx.if_then_else(tirx.all(*inside), source[(*place, *lanes)], tirx.const(0, source.dtype))

    return te.compute((*spans, *source.shape[len(axes) :]), element, name=name)
