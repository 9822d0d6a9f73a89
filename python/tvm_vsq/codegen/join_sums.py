"""Has a layer add what would be added to its results later, when rows are made of them: they are in the
scratchpad then, and the array works on while the other numbers are loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tvm_vsq.codegen.estimates import are_better
from tvm_vsq.codegen.layer import Layer
from tvm_vsq.formats.rows import Normalization, Sum
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.convolution import Convolution
from tvm_vsq.schedule.digits import without_digits
from tvm_vsq.schedule.matrices import MatrixProduct
from tvm_vsq.schedule.rows import Rows
from tvm_vsq.schedule.with_sum import WithSum


def join_sums(layers: Sequence[Layer], results: Sequence[str], hardware: HardwareConfig) -> list[Layer]:
    """`layers`, in which those whose results nothing but rows are made of add the other numbers of these,
    where that is better.

    results: the tensors that the program returns. A layer that is nothing but such a sum is gone then.
    """
    joined: list[Layer] = list(layers)
    for reader in layers:
        maker = _last_maker(joined, reader)
        if maker is None or maker.result in results:
            continue
        if sum(list(layer.inputs.values()).count(maker.result) for layer in joined) != 1:
            continue
        if isinstance(reader.post.rows, Sum):
            new = [_summed(maker, reader)]
        else:
            new = [_adding(maker, _other(maker, reader)), _without_other(maker, reader)]
        if are_better(new, [maker, reader], hardware):
            places = {id(reader): new[-1:], id(maker): new[:-1]}
            joined = [each for layer in joined for each in places.get(id(layer), [layer])]
    return joined


def _last_maker(layers: Sequence[Layer], reader: Layer) -> Layer | None:
    """The layer that makes the later one of the two tensors that `reader` adds up; None if no product does,
    or if these are not alike.
    """
    rows = without_digits(reader.workload)
    if not isinstance(rows, Rows) or rows.other != (False, False, False) or rows.constant:
        return None
    is_sum = isinstance(reader.post.rows, Sum) and rows.wide
    if not (is_sum or isinstance(reader.post.rows, Normalization)):
        return None
    added = {reader.inputs["inp"], reader.inputs["other"]}
    makers = [layer for layer in layers if not added.isdisjoint(layer.results)]
    maker = makers[-1] if makers and len(added) > 1 else None
    if maker is None or maker.beside is not None:
        return None
    work = without_digits(maker.workload)
    if not isinstance(work, MatrixProduct | Convolution) or not work.wide:
        return None
    pixels = (work.n, work.h, work.w) if isinstance(work, MatrixProduct) else (work.n, work.oh, work.ow)
    return maker if pixels == (rows.n, rows.h, rows.w) else None


def _other(maker: Layer, reader: Layer) -> str:
    (other,) = {reader.inputs["inp"], reader.inputs["other"]} - {maker.result}
    return other


def _adding(maker: Layer, other: str, **changes: Any) -> Layer:
    workload = WithSum(maker.workload, scaled="result" in changes)
    return replace(maker, workload=workload, inputs={**maker.inputs, "other": other}, **changes)


def _summed(maker: Layer, reader: Layer) -> Layer:
    """Both in one: the PPU takes the sum with the parameters of `reader`."""
    return _adding(
        maker,
        _other(maker, reader),
        name=f"{maker.name} + {reader.name}",
        post=replace(maker.post, rows_relu=reader.post.relu),
        constants={**maker.constants, "par2": reader.constants["par"]},
        result=reader.result,
    )


def _without_other(maker: Layer, reader: Layer) -> Layer:
    rows: Any = replace(without_digits(reader.workload), other=None)  # type: ignore[type-var]
    work: Any = reader.workload
    return replace(
        reader,
        workload=rows if work is without_digits(work) else replace(work, work=rows),
        inputs={"inp": maker.result},
    )
