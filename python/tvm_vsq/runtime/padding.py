"""What padding costs: the array multiplies the zeros that fill up vectors, blocks and groups of blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tvm_vsq.runtime.profile import LayerProfile

_NAMED = 3


def padding_of(macs: int, padded_macs: int) -> float:
    """The part of `padded_macs`, what the array did, that is not among the useful `macs`; 0..1."""
    return 1 - macs / padded_macs if padded_macs else 0.0


def padding_note(layers: Sequence[LayerProfile], macs_per_cycle: int) -> str:
    """How much of the array's work is padding, and the layers with most of it."""
    padded = [layer for layer in layers if _lost(layer)]
    if not padded:
        return "padding: none"
    total, lost = sum(layer.padded_macs for layer in layers), sum(map(_lost, padded))
    named = [
        f"'{layer.name}' {_lost(layer) // macs_per_cycle:,} ({_sides(layer)})"
        for layer in sorted(padded, key=_lost, reverse=True)[:_NAMED]
    ]
    rest = [f"{len(padded) - _NAMED} more layers"] if len(padded) > _NAMED else []
    return (
        f"padding: {lost // macs_per_cycle:,} of the array's {total // macs_per_cycle:,} cycles "
        f"({lost / total:.1%}) go into zeros that fill up {_what(padded)}: {', '.join([*named, *rest])}"
    )


def _lost(layer: LayerProfile) -> int:
    return layer.padded_macs - layer.macs


def _what(padded: Sequence[LayerProfile]) -> str:
    """Channels; also vectors of other things, where some layer has no channels to fill up."""
    is_all = all(layer.channels != layer.padded_channels for layer in padded)
    return "channels" if is_all else "channels and vectors"


def _sides(layer: LayerProfile) -> str:
    pairs = zip(("input", "output"), layer.channels, layer.padded_channels, strict=True)
    named = ", ".join(f"{side} {real} -> {padded}" for side, real, padded in pairs if real != padded)
    return named or "rows or taps that fill no whole vector"
