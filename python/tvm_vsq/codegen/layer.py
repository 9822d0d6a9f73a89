"""One layer of a program: its shape, schedule and data, and the DRAM tensors between layers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tvm_vsq.codegen.emit import PostOp
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.numerics import pack_weights
from tvm_vsq.schedule import Knobs, Workload


@dataclass(frozen=True)
class DramTensor:
    """An activation tensor of `pixels` x `vectors` vectors, stored `pitch` >= `vectors` records per pixel.

    With `channels` it is a wide tensor instead: int32 [pixels, channels], in `pitch` accumulator records per
    pixel.
    """

    name: str
    pixels: int
    vectors: int
    pitch: int
    signed: bool
    channels: int | None = None

    def record_bytes(self, hardware: HardwareConfig) -> int:
        """DRAM bytes of one record."""
        return hardware.record_bytes["out" if self.channels is None else "acc"]

    def size_bytes(self, hardware: HardwareConfig) -> int:
        """DRAM bytes of the tensor."""
        return self.pixels * self.pitch * self.record_bytes(hardware)


@dataclass(frozen=True)
class Layer:
    """A convolution or dense layer with its data.

    `channels` are those of its input that are not padding. `weights` int16 [K, R, S, CV, V+1] and `params`
    int32 [K, 4] (mult, shift, bias, clip). `source`, `residual` and `result` name the tensors it reads and
    writes.
    """

    name: str
    op: str
    workload: Workload
    knobs: Knobs
    post: PostOp
    channels: int
    weights: npt.NDArray[np.int16]
    params: npt.NDArray[np.int32]
    source: str
    result: str
    residual: str | None = None
    tuned: bool = False

    @property
    def macs(self) -> int:
        """Useful multiply-accumulates: padded channels, which only hold zeros, do not count."""
        work = self.workload
        return work.n * work.oh * work.ow * len(self.weights) * self.channels * work.r * work.s


def weight_image(layer: Layer, hardware: HardwareConfig) -> bytes:
    """Weight records in the order [block][input vector][kernel row][kernel column]; missing channels are
    zero.
    """
    channels, *shape = layer.weights.shape
    padded = np.zeros((layer.workload.kb * hardware.output_lanes, *shape), dtype=np.int16)
    padded[:channels] = layer.weights
    blocks = padded.reshape(layer.workload.kb, hardware.output_lanes, *shape).transpose(0, 4, 2, 3, 1, 5)
    return pack_weights(blocks, hardware.formats.weight).tobytes()


_PARAM = np.dtype([("mult", "<u2"), ("shift", "u1"), ("bias", "<i4"), ("clip", "<i4")])


def param_image(layer: Layer, hardware: HardwareConfig) -> bytes:
    """Parameter records; channels that do not exist yield y = 0."""
    padded = np.zeros(layer.workload.kb * hardware.output_lanes, dtype=_PARAM)
    for column, name in enumerate(("mult", "shift", "bias", "clip")):
        padded[name][: len(layer.params)] = layer.params[:, column]
    return padded.tobytes()
