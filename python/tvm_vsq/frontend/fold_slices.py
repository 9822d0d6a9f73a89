"""What is cut off a convolution's result is not computed: the padding it comes from goes."""

from __future__ import annotations

from typing import Any

from tvm import relax

from tvm_vsq.graph import Rebuilder, is_constant, op_name, replace_main, static_shape
from tvm_vsq.network import facts_of
from tvm_vsq.tvm_compat import Call, IRModule, Var


def fold_slices(module: IRModule) -> IRModule:
    """`strided_slice(conv2d(x))` becomes `conv2d(x)` with less padding, where that leaves just these results.

    Causal convolutions are often written so (Bai et al., 2018, "chomp"): with padding at both ends of time,
    and the last results cut off. A bias and operators of one tensor may be in between.
    """
    return replace_main(module, _FoldSlices(module["main"]).run())


class _FoldSlices(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        if op_name(value) != "relax.strided_slice":
            return value
        kept = _kept(value)
        between: list[tuple[Call, int]] = []
        x = value.args[0]
        while kept is not None and self.is_read_once(x):
            call = self.value_of(x)
            if op_name(call) == "relax.nn.conv2d":
                padding = _padding(call, static_shape(x), kept)
                return value if padding is None else self._again(_with_padding(call, padding), between)
            at = _operand(call, set(kept))
            if at is None:
                return value
            between.append((call, at))
            x = call.args[at]
        return value

    def _again(self, result: Call, between: list[tuple[Call, int]]) -> Call:
        for call, at in reversed(between):
            args = [*call.args]
            args[at] = self.emit(result)
            result = Call(call.op, args, call.attrs)
        return result


def _kept(value: Call) -> dict[int, tuple[int, int]] | None:
    """(first, end) of what a slice takes along each axis that it names; None if it skips some between."""
    axes, begins, ends, *rest = ([int(field.value) for field in arg.fields] for arg in value.args[1:])
    if any(stride != 1 for stride in (rest[0] if rest else [])):
        return None
    shape = static_shape(value.args[0])
    places = zip((axis % len(shape) for axis in axes), begins, ends, strict=True)
    return {axis: slice(begin, end).indices(shape[axis])[:2] for axis, begin, end in places}


def _operand(call: Any, axes: set[int]) -> int | None:
    """Which operand of `call` may be cut along `axes` instead of its result; None if none may."""
    if facts_of(call).elementwise == 1:
        return 0
    if op_name(call) != "relax.add":
        return None
    at = 1 if is_constant(call.args[0]) else 0
    other = call.args[1 - at]
    rank = len(static_shape(call.args[at]))
    if not is_constant(other) or len(other.ty.shape) > rank:
        return None
    extents = (1,) * (rank - len(other.ty.shape)) + static_shape(other)
    return at if all(extents[axis] == 1 for axis in axes) else None


def _padding(conv: Call, shape: tuple[int, ...], kept: dict[int, tuple[int, int]]) -> list[int] | None:
    """Top, left, bottom, right, with which `conv`, of that shape, gives what is kept; None if none do."""
    attrs = conv.attrs
    data, kernel, out = (str(getattr(attrs, f"{name}_layout")) for name in ("data", "kernel", "out"))
    if any(sorted(layout) != ["C", "H", "N", "W"] for layout in (data, out)) or len(kernel) != 4:
        return None
    padding = [int(border) for border in attrs.padding]
    for axis, (first, end) in kept.items():
        if out[axis] not in "HW":
            return None
        side = "HW".index(out[axis])
        stride, step = int(attrs.strides[side]), int(attrs.dilation[side])
        reach = step * (static_shape(conv.args[1])[kernel.index(out[axis])] - 1) + 1
        given = static_shape(conv.args[0])[data.index(out[axis])]
        before = padding[side] - first * stride
        after = max(0, (end - first - 1) * stride + reach - given - before)
        if before < 0 or (given + before + after - reach) // stride + 1 != end - first:
            return None
        padding[side], padding[side + 2] = before, after
    return padding


def _with_padding(conv: Call, padding: list[int]) -> Call:
    attrs = conv.attrs
    return relax.op.nn.conv2d(
        *conv.args,
        strides=[int(n) for n in attrs.strides],
        padding=padding,
        dilation=[int(n) for n in attrs.dilation],
        groups=int(attrs.groups),
        data_layout=attrs.data_layout,
        kernel_layout=attrs.kernel_layout,
        out_layout=attrs.out_layout,
        out_dtype=attrs.out_dtype,
    )
