"""A matrix product whose result is stored transposed as a workload: vectors run along rows, not channels."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.access import Axis, Dim, Operand
from tvm_vsq.schedule.gemm import MultiplyAccumulate
from tvm_vsq.schedule.nest import LoopNest
from tvm_vsq.schedule.postprocess import post_processed, result_dims


@dataclass(frozen=True)
class TransposedProduct:
    """X [n, length, cv] times weights -> [n, kb * output_lanes channels, length].

    Rows are taken vector_size at a time, which then become vectors.
    """

    n: int
    length: int
    cv: int
    kb: int

    @property
    def key(self) -> str:
        """Stable text for tuning databases."""
        return f"transposed-n{self.n}w{self.length}cv{self.cv}kb{self.kb}"

    def nest(self, hardware: HardwareConfig) -> LoopNest:
        """Dimensions n, h (groups of rows), w (rows of a group), k, b of the result, and c (vectors of the
        input).
        """
        size = hardware.vector_size
        n, h, w, k, b = result_dims(self.n, -(-self.length // size), size, self.kb, hardware)
        whole, c = replace(w, knob=None), Dim("c", self.cv, True, "tile_c")
        rows = Axis(self.length, ((h.name, size), (w.name, 1)))
        inputs = (
            Operand("inp", "inp", (Axis.along(n), rows, Axis.along(c)), pixel_axes=2),
            Operand("wgt", "wgt", tuple(map(Axis.along, (k, b, c))), constant=True, title="weights"),
        )
        dims = (replace(n, inner=("h",)), h, whole, k, b, c)
        nest = post_processed(dims, inputs, MultiplyAccumulate(), hardware, blocks=self.kb)
        orders = {name: tuple(dim for dim in order if dim != w.name) for name, order in nest.orders.items()}
        return replace(nest, orders=orders)

    def text(self, channels: tuple[int, int], hardware: HardwareConfig) -> str:
        """The shape for reports, such as "128x768 > 768x128"."""
        batch = f"{self.n}x" if self.n > 1 else ""
        return f"{batch}{self.length}x{channels[0]} > {batch}{channels[1]}x{self.length}"

    def padded_channels(self, hardware: HardwareConfig) -> tuple[int, int]:
        """Channels of input and result, with those that fill up vectors and blocks."""
        return self.cv * hardware.vector_size, self.kb * hardware.output_lanes

    def macs(self, channels: tuple[int, int]) -> int:
        """Multiply-accumulates between so many channels of input and result."""
        given, taken = channels
        return self.n * self.length * taken * given
