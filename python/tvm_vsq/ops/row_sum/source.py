"""The sums of an fp32 graph that are no sums of vectors."""

from __future__ import annotations

from tvm_vsq.network import RowForm, Source
from tvm_vsq.network.wide_sum import NAME
from tvm_vsq.ops.rotary.source import no_numbers, row_refusal, same_unit, unit_steps

SOURCE = Source(
    relax=NAME,
    word="row_sum",
    refusal=row_refusal,
    rows=RowForm(at_end=True, factors=unit_steps, numbers=no_numbers, unit=same_unit, added=1),
)
