"""A layer whose accumulators become rows where they are, normalized or as probabilities, and visit no DRAM
before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.nest import LoopNest
from tvm_vsq.schedule.rows import Rows, with_row_program
from tvm_vsq.schedule.workload import Extension


@dataclass(frozen=True)
class WithRows(Extension):
    """`work`, whose wide results are the rows of `rows`."""

    rows: Rows

    @property
    def key(self) -> str:
        """Stable text for tuning databases."""
        return f"{self.work.key}+{self.rows.key}"

    def nest(self, hardware: HardwareConfig) -> LoopNest:
        """That of `work` in tiles of whole rows, with what is added to them, and parameters "par2" of what
        they become.
        """
        shape = self.rows
        nest, rows = self.work.nest(hardware), shape.nest(hardware)
        dims = tuple(replace(dim, knob=None) if dim.name == "k" else dim for dim in nest.dims)
        by_name = {dim.name: dim for dim in rows.dims}
        pixels = {name: nest.dim[name] for name in ("n", "h", "w")}
        if any(by_name[name].extent != dim.extent for name, dim in pixels.items()):
            raise ValueError("rows lie in other pixels than the layer's that they are made of")
        acc = replace(nest.acc, in_dram=shape.wide)
        kept = [acc if operand is nest.acc else operand for operand in nest.operands]
        values = replace(nest.operand["par"], name="par2", title="parameters of rows")
        # rows are made ahead, with what is added to them
        added = [replace(each, single=False) for each in rows.operands if each.name in ("other", "out")]
        whole = replace(
            nest,
            dims=dims,
            operands=(*kept, values, *added),
            result_name=rows.result_name,
        )
        return with_row_program(whole, shape.finish(follows=True), shape.turns)
