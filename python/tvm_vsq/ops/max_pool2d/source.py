"""The maximum pools of an fp32 graph that have an accelerator form."""

from __future__ import annotations

from typing import Any

from tvm_vsq.network import Source
from tvm_vsq.network.facts import Elements, Facts, if_first
from tvm_vsq.network.pools import pool_refusal, pool_window, taps_inside


def _refusal(call: Any, _has_constant_weights: bool) -> str:
    refused = pool_refusal(call)
    if refused:
        return refused
    return "" if all(map(all, taps_inside(call))) else "a window holds nothing but padding"


SOURCE = Source(
    relax="relax.nn.max_pool2d",
    word="max_pool2d",
    refusal=_refusal,
    window=pool_window,
    facts=Facts(
        elements=Elements.CHOSEN,
        nonnegative=if_first,
        channelwise=lambda call: str(call.attrs.layout) == "NHWC",
    ),
)
