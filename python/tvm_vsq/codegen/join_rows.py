"""Joins a layer with the one that takes its results as rows, so that these stay on the chip, where that is
better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tvm_vsq.codegen.estimates import are_better
from tvm_vsq.codegen.layer import Layer
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.convolution import Convolution
from tvm_vsq.schedule.digits import Digits, with_digits, without_digits
from tvm_vsq.schedule.matrices import MatrixProduct
from tvm_vsq.schedule.rows import Rows
from tvm_vsq.schedule.with_rows import WithRows


def join_rows(layers: Sequence[Layer], results: Sequence[str], hardware: HardwareConfig) -> list[Layer]:
    """`layers`, in which those that only make the rows of another one are part of that.

    results: the tensors that the program returns.
    """
    joined: list[Layer] = list(layers)
    for reader in layers:
        maker = next((layer for layer in joined if layer.result == reader.inputs.get("inp")), None)
        if maker is None or not isinstance(without_digits(reader.workload), Rows) or maker.result in results:
            continue
        if sum(maker.result in layer.inputs.values() for layer in joined) != 1:
            continue
        if reader.inputs.get("other") == maker.result:
            continue
        found = _joined(maker, reader, hardware)
        if found is not None:
            joined = [found if layer is reader else layer for layer in joined if layer is not maker]
    return joined


def _joined(maker: Layer, reader: Layer, hardware: HardwareConfig) -> Layer | None:
    work, rows = without_digits(maker.workload), without_digits(reader.workload)
    if not isinstance(work, MatrixProduct | Convolution) or not isinstance(rows, Rows):
        return None
    pixels = (work.n, work.h, work.w) if isinstance(work, MatrixProduct) else (work.n, work.oh, work.ow)
    if pixels != (rows.n, rows.h, rows.w):
        return None
    stored = Digits(out=reader.post.form.digits)
    workload = with_digits(WithRows(maker.workload, rows), stored)
    named = {name: records for name, records in reader.constants.items() if name != "par"}
    joined = Layer(
        name=f"{maker.name} + {reader.name}",
        op=maker.op,
        workload=workload,
        post=replace(
            maker.post,
            rows=reader.post.rows,
            last_lanes=reader.post.last_lanes,
            rows_relu=reader.post.relu,
            out_unsigned=reader.post.out_unsigned,
            form=reader.post.form,
            beside_relu=reader.post.beside_relu,
        ),
        channels=maker.channels,
        constants={**maker.constants, **named, "par2": reader.constants["par"]},
        inputs={**maker.inputs, **{name: x for name, x in reader.inputs.items() if name != "inp"}},
        result=reader.result,
        beside=reader.beside,
    )
    return joined if are_better([joined], [maker, reader], hardware) else None
