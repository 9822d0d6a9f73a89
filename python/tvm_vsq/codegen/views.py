"""The DRAM tensors of one layer as its copies address them."""

from __future__ import annotations

from tvm_vsq.codegen.layer import DramTensor
from tvm_vsq.codegen.tensors import TensorView
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule import Workload


def layer_views(
    work: Workload,
    hardware: HardwareConfig,
    constants: tuple[str, str],
    source: DramTensor,
    result: DramTensor,
    residual: DramTensor | None,
) -> dict[str, TensorView]:
    """Views of X, W, P, Y and, if there is one, R. `constants` are the regions of weights and parameters."""
    records = hardware.record_bytes
    groups, blocks = work.kb // hardware.group_blocks, hardware.group_blocks
    kernel = work.r * work.s
    weight_strides = (blocks * work.cv * kernel, work.cv * kernel, kernel, work.s, 1)
    vectors = hardware.group_channels // hardware.vector_size
    output = (work.n, work.oh, work.ow)
    views = {
        "X": _pixels(source, (work.n, work.h, work.w), work.cv, 0, hardware),
        "W": TensorView(
            constants[0], records["wgt"], (groups, blocks, work.cv, work.r, work.s), weight_strides
        ),
        "P": TensorView(constants[1], records["par"], (groups, blocks), (blocks, 1)),
        "Y": _pixels(result, output, result.pitch, blocks if work.wide else vectors, hardware),
    }
    if residual is not None:
        views["R"] = _pixels(residual, output, residual.pitch, vectors, hardware)
    return views


def _pixels(
    tensor: DramTensor, grid: tuple[int, int, int], records: int, fold: int, hardware: HardwareConfig
) -> TensorView:
    n, rows, columns = grid
    strides = (rows * columns * tensor.pitch, columns * tensor.pitch, tensor.pitch, 1)
    return TensorView(
        tensor.name,
        tensor.record_bytes(hardware),
        (n, rows, columns, records),
        strides,
        (rows, columns),
        fold,
    )
