"""Images that lie between each other's rows and columns, as views: reshapes and a concat along a new axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tvm import relax

from tvm_vsq.graph import static_shape
from tvm_vsq.tvm_compat import Var


def interleaved(emit: Callable[[Any], Var], images: Sequence[Var], axis: int) -> Var:
    """Element i of axis `axis` of the result is element i // count of image i % count, all of one shape.

    axis: any but the last one.
    """
    if len(images) == 1:
        return images[0]
    shape = static_shape(images[0])
    new: dict[Var, Var] = {}
    for image in images:
        if image not in new:
            new[image] = emit(relax.op.reshape(image, (*shape[: axis + 1], 1, *shape[axis + 1 :])))
    joined = emit(relax.op.concat([new[image] for image in images], axis=axis + 1))
    return emit(relax.op.reshape(joined, (*shape[:axis], shape[axis] * len(images), *shape[axis + 1 :])))
