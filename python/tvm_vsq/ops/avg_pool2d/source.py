"""The average pools of an fp32 graph that have an accelerator form."""

from __future__ import annotations

from math import lcm
from typing import Any

from tvm_vsq.network import Facts, Source
from tvm_vsq.network.facts import if_first
from tvm_vsq.network.pools import pool_refusal, pool_window, taps_inside


def counted(call: Any) -> tuple[int, int, int, int]:
    """How many zeros around the image count as pixels: top, left, bottom, right; none that ceil_mode adds."""
    if not bool(call.attrs.count_include_pad):
        return 0, 0, 0, 0
    top, left, bottom, right = (int(border) for border in call.attrs.padding)
    return top, left, bottom, right


def _divisor(call: Any) -> int:
    """The least common multiple of what windows count (docs/numerics.md, section 4)."""
    rows, columns = taps_inside(call, counted(call))
    return lcm(*rows) * lcm(*columns)


def _refusal(call: Any, _has_constant_weights: bool) -> str:
    refused = pool_refusal(call)
    if refused:
        return refused
    return "" if all(map(all, taps_inside(call, counted(call)))) else "a window holds nothing that counts"


SOURCE = Source(
    relax="relax.nn.avg_pool2d",
    word="avg_pool2d",
    refusal=_refusal,
    window=pool_window,
    divisor=_divisor,
    facts=Facts(nonnegative=if_first, channelwise=lambda call: str(call.attrs.layout) == "NHWC"),
)
