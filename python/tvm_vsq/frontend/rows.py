"""Operators on sequences, such as sound, as operators on images of one row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq.graph import (
    Rebuilder,
    constant,
    constant_array,
    is_constant,
    op_name,
    replace_main,
    static_shape,
)
from tvm_vsq.tvm_compat import Call, IRModule, Var


def rows_to_images(module: IRModule) -> IRModule:
    """conv1d, conv1d_transpose and pools of one axis become those of two axes, between reshapes.

    A sequence [N, C, W] is the image [N, C, 1, W], [N, W, C] is [N, 1, W, C], and a kernel [K, C/g, S] is
    [K, C/g, 1, S]: the axis of rows comes before that of columns. `sink_rows` moves the reshapes away.
    """
    return replace_main(module, _RowsToImages(module["main"]).run())


class _RowsToImages(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        build = _BUILDERS.get(op_name(value))
        layouts = [] if build is None else _layouts(value)
        if build is None or not all(sorted(layout) in _PLAIN for layout in layouts):
            return value  # packed layouts, such as NCW4c, have further axes
        operands = [self._image(arg, layout) for arg, layout in zip(value.args, layouts[:-1], strict=True)]
        image = self.emit(build(operands, value.attrs, [in_images(layout) for layout in layouts]))
        return relax.op.reshape(image, static_shape(var))

    def _image(self, x: Any, layout: str) -> Any:
        if is_constant(x):
            return constant(np.expand_dims(constant_array(x), layout.index("W")))
        shape = list(static_shape(x))
        shape.insert(layout.index("W"), 1)
        return self.emit(relax.op.reshape(x, shape))


_PLAIN = (["C", "N", "W"], ["I", "O", "W"])


def _layouts(call: Call) -> list[str]:
    """Of the operands, then of the result."""
    attrs = call.attrs
    if op_name(call) in ("relax.nn.conv1d", "relax.nn.conv1d_transpose"):
        found = [attrs.data_layout, attrs.kernel_layout, attrs.out_layout or attrs.data_layout]
    else:
        found = [attrs.layout, attrs.out_layout or attrs.layout]
    return [str(layout) for layout in found]


def in_images(layout: str) -> str:
    """NCHW for NCW."""
    return layout.replace("W", "HW")


def _pair(extents: Sequence[Any], of_rows: int = 1) -> list[int]:
    """A window's extents along rows and columns, from those along columns."""
    (extent,) = extents
    return [of_rows, int(extent)]


def _around(padding: Sequence[Any]) -> list[int]:
    """Top, left, bottom, right."""
    left, right = padding
    return [0, int(left), 0, int(right)]


def _convolution(operands: list[Any], attrs: Any, layouts: list[str]) -> Call:
    data, kernel, out = layouts
    return relax.op.nn.conv2d(
        *operands,
        strides=_pair(attrs.strides),
        padding=_around(attrs.padding),
        dilation=_pair(attrs.dilation),
        groups=int(attrs.groups),
        data_layout=data,
        kernel_layout=kernel,
        out_layout=out,
        out_dtype=attrs.out_dtype,
    )


def _transposed_convolution(operands: list[Any], attrs: Any, layouts: list[str]) -> Call:
    data, kernel, out = layouts
    return relax.op.nn.conv2d_transpose(
        *operands,
        strides=_pair(attrs.strides),
        padding=_around(attrs.padding),
        output_padding=_pair(attrs.output_padding, 0),
        dilation=_pair(attrs.dilation),
        groups=int(attrs.groups),
        data_layout=data,
        kernel_layout=kernel,
        out_layout=out,
        out_dtype=attrs.out_dtype,
    )


def _pool(build: Callable[..., Call]) -> Callable[[list[Any], Any, list[str]], Call]:
    def pool(operands: list[Any], attrs: Any, layouts: list[str]) -> Call:
        return build(
            *operands,
            pool_size=_pair(attrs.pool_size),
            strides=_pair(attrs.strides),
            padding=_around(attrs.padding),
            dilation=_pair(attrs.dilation),
            ceil_mode=bool(attrs.ceil_mode),
            count_include_pad=bool(attrs.count_include_pad),
            layout=layouts[0],
            out_layout=layouts[1],
        )

    return pool


def _adaptive_pool(operands: list[Any], attrs: Any, layouts: list[str]) -> Call:
    size = attrs.output_size
    return relax.op.nn.adaptive_avg_pool2d(
        *operands,
        None if size is None else _pair(size),
        layout=layouts[0],
        out_layout=layouts[1],
    )


_BUILDERS: dict[str, Callable[[list[Any], Any, list[str]], Call]] = {
    "relax.nn.conv1d": _convolution,
    "relax.nn.conv1d_transpose": _transposed_convolution,
    "relax.nn.max_pool1d": _pool(relax.op.nn.max_pool2d),
    "relax.nn.avg_pool1d": _pool(relax.op.nn.avg_pool2d),
    "relax.nn.adaptive_avg_pool1d": _adaptive_pool,
}
