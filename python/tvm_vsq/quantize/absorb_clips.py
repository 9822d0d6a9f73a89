"""Removes clips that stand for an activation's quantization in the model, where ours does the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm import relax

from tvm_vsq.frontend.given import GivenClip, given_clips, given_limits
from tvm_vsq.graph import Rebuilder, bindings, leaves, op_name, replace_main
from tvm_vsq.network import Elements, facts_of
from tvm_vsq.quantize.calibration import Range, calibrate
from tvm_vsq.quantize.config import QuantConfig
from tvm_vsq.quantize.plan import choose_layers
from tvm_vsq.tvm_compat import IRModule, Var


def absorb_clips(module: IRModule, config: QuantConfig, data: Any) -> IRModule:
    """`module` without the `given_clips` that change nothing but rounding.

    That is: nothing in the calibration data is beyond the bounds by more than a step; or the range is
    symmetric (or starts at 0 and nothing is below) and only quantized layers read the result, whose own
    ranges, given by the model, saturate at the same value. Between two layers a clip would run on the CPU.
    """
    marked = given_clips(module)
    clips = {
        binding.var: marked[_bounds(binding.value)]
        for binding in bindings(module["main"])
        if op_name(binding.value) == "relax.clip" and _bounds(binding.value) in marked
    }
    if not clips:
        return module
    chosen = {var: layer.name for var, (layer, _) in choose_layers(module, config).items()}
    limits = {var: given_limits(module).get(name) for var, name in chosen.items()}
    readers: dict[Var, list[relax.VarBinding]] = {}
    for binding in bindings(module["main"]):
        for leaf in leaves(binding.value):
            if isinstance(leaf, Var):
                readers.setdefault(leaf, []).append(binding)
    values = {binding.var: binding.value for binding in bindings(module["main"])}
    ranges = calibrate(module, [values[var].args[0] for var in clips], data)
    result = module["main"].body.body
    gone = {
        var
        for var, clip in clips.items()
        if _is_idle(clip, ranges[values[var].args[0]]) or _saturates(var, clip, readers, limits, result)
    }
    return replace_main(module, _Remove(module["main"], gone).run())


def _bounds(call: Any) -> tuple[float, float]:
    return float(call.args[1].value), float(call.args[2].value)


def _is_idle(clip: GivenClip, found: Range) -> bool:
    return clip.low - clip.step <= found.min and found.max <= clip.high + clip.step


def _saturates(
    var: Var,
    clip: GivenClip,
    readers: Mapping[Var, list[relax.VarBinding]],
    limits: Mapping[Var, float | None],
    result: Var,
) -> bool:
    """Whether all who read `var`, moved or not, are quantized layers with the clip's range."""
    is_even = clip.low == 0 or abs(clip.low + clip.high) <= 1.01 * clip.step
    pending = [var]
    while pending and is_even:
        tensor = pending.pop()
        if tensor.same_as(result):
            return False
        for binding in readers.get(tensor, []):
            if facts_of(binding.value).elements is not Elements.COMPUTED:
                pending.append(binding.var)
            elif abs((limits.get(binding.var) or 0.0) - clip.high) > 1e-6 * clip.high:
                return False
    return is_even


class _Remove(Rebuilder):
    def __init__(self, function: relax.Function, gone: set[Var]) -> None:
        super().__init__(function)
        self._gone = gone

    def rewrite(self, var: Var, value: Any) -> Any:
        return value.args[0] if var in self._gone else value
