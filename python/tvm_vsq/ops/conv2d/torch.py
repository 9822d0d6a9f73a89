"""Convolutions in PyTorch: in fp32, and on vectors."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from tvm_vsq.torch_graph.dot_products import Geometry, vector_product
from tvm_vsq.torch_graph.layer_form import LayerForm, Operator, Product
from tvm_vsq.torch_graph.spatial import integers, order, padded


def _fp32(call: Any) -> Operator | None:
    """In any plain layout, with any groups."""
    attrs = call.attrs
    layouts = [str(attrs.data_layout), str(attrs.kernel_layout), str(attrs.out_layout)]
    if [sorted(layout) for layout in layouts] != [sorted("NCHW"), sorted("OIHW"), sorted("NCHW")]:
        return None
    into, kernel, back = order(layouts[0], "NCHW"), order(layouts[1], "OIHW"), order("NCHW", layouts[2])
    strides, dilation = integers(attrs.strides), integers(attrs.dilation)
    padding, groups = integers(attrs.padding), int(attrs.groups)

    def run(x: Tensor, w: Tensor) -> Tensor:
        x, symmetric = padded(x.permute(into), padding)
        y = F.conv2d(x, w.permute(kernel), None, strides, symmetric, dilation, groups)
        return y.permute(back)

    return run


def _on_vectors(call: Any, peak: int, w: Tensor) -> Product:
    geometry = Geometry(*(integers(call.attrs[name]) for name in ("strides", "padding", "dilation")))
    return vector_product(call, peak, w, geometry)


TORCH = LayerForm(_fp32, _on_vectors)
