"""Writes `auto_pad` of convolutions and pools, and `output_shape` of ConvTranspose, as numbers."""

from __future__ import annotations

from typing import Any

import onnx
from onnx import helper

from tvm_vsq.frontend.onnx_nodes import attributes, shapes_of

_WINDOWS = ("AveragePool", "Conv", "ConvTranspose", "LpPool", "MaxPool")


def make_windows_explicit(graph: onnx.GraphProto) -> None:
    """Replace `auto_pad` and `output_shape` by `pads` and `output_padding`, in place."""
    shapes = shapes_of(graph)
    for node in graph.node:
        if node.op_type not in _WINDOWS:
            continue
        found = attributes(node)
        mode = found.get("auto_pad", b"NOTSET").decode()
        is_automatic = mode not in ("NOTSET", "") or "output_shape" in found
        image = shapes.get(node.input[0])
        kernel = found.get("kernel_shape") or (
            shapes.get(node.input[1], ())[2:] if len(node.input) > 1 else None
        )
        if not is_automatic or image is None or not kernel:
            continue
        work = _transposed if node.op_type == "ConvTranspose" else _forward
        new = work(mode, list(image[2:]), list(kernel), found)
        kept = [a for a in node.attribute if a.name not in ("auto_pad", "output_shape", *new)]
        del node.attribute[:]
        node.attribute.extend([*kept, *(helper.make_attribute(name, value) for name, value in new.items())])


def _forward(mode: str, image: list[int], kernel: list[int], found: dict[str, Any]) -> dict[str, list[int]]:
    strides, dilations = (found.get(name, [1] * len(image)) for name in ("strides", "dilations"))
    totals = [
        max((-(-extent // stride) - 1) * stride + (size - 1) * dilation + 1 - extent, 0)
        for extent, size, stride, dilation in zip(image, kernel, strides, dilations, strict=True)
    ]
    return {"pads": _sides(mode, [0] * len(totals) if mode == "VALID" else totals)}


def _transposed(
    mode: str, image: list[int], kernel: list[int], found: dict[str, Any]
) -> dict[str, list[int]]:
    strides, dilations = (found.get(name, [1] * len(image)) for name in ("strides", "dilations"))
    more = list(found.get("output_padding", [0] * len(image)))
    if mode == "VALID" and "output_shape" not in found:
        return {"pads": [0] * 2 * len(image)}
    aims = found.get("output_shape") or [
        extent * stride for extent, stride in zip(image, strides, strict=True)
    ]
    totals = [
        stride * (extent - 1) + extra + (size - 1) * dilation + 1 - aim
        for extent, size, stride, dilation, extra, aim in zip(
            image, kernel, strides, dilations, more, aims, strict=True
        )
    ]
    # a result larger than what the window reaches ends in zeros
    more = [extra + max(-total, 0) for extra, total in zip(more, totals, strict=True)]
    return {"pads": _sides(mode, [max(total, 0) for total in totals]), "output_padding": more}


def _sides(mode: str, totals: list[int]) -> list[int]:
    """ONNX's order, all beginnings, then all ends; the odd one goes to the end for SAME_UPPER."""
    small, large = [total // 2 for total in totals], [total - total // 2 for total in totals]
    return [*small, *large] if mode == "SAME_UPPER" else [*large, *small]
