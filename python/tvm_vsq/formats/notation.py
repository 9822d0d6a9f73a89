"""The paper's W/A/ws/as notation of number formats (VS-Quant, section 4)."""

from __future__ import annotations

import re
from typing import Literal

from tvm_vsq.errors import ConfigError, shown

NotedScale = int | Literal["fp32"] | None
"""Width of integer vector scales, None without vector scales, "fp32" for floating-point ones."""

_NOTATION = re.compile(r"([0-9]{1,3})/([0-9]{1,3})/([0-9]{1,3}|-|fp)/([0-9]{1,3}|-|fp)")
NOTATION_HELP = (
    "write W/A/ws/as: weight bits, activation bits, weight scale bits, activation scale bits, '-' for no "
    "vector scale; for example '4/4/4/4', '4/8/6/10' or '8/8/-/-'"
)


def is_notation(value: object) -> bool:
    """Whether `value` is text that may be meant as W/A/ws/as: numbers, `-` and `fp` between slashes."""
    return isinstance(value, str) and re.fullmatch(r"[\s0-9fp-]+(/[\s0-9fp-]*)+", value) is not None


def parse_notation(text: str) -> dict[str, NotedScale]:
    """The fields that "4/4/4/4" stands for, by their names in HardwareConfig and QuantConfig.

    Widths are not checked here. Raises ConfigError that shows how the notation is written.
    """
    match = _NOTATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ConfigError(f"quant {shown(text)} is not understood: {NOTATION_HELP}")
    words: dict[str, NotedScale] = {"-": None, "fp": "fp32"}
    values = [words[part] if part in words else int(part) for part in match.groups()]
    names = ("weight_bits", "activation_bits", "weight_scale_bits", "activation_scale_bits")
    return dict(zip(names, values, strict=True))


def write_notation(
    weight_bits: int, activation_bits: int, weight_scale_bits: NotedScale, activation_scale_bits: NotedScale
) -> str:
    """The inverse of `parse_notation`."""
    words: dict[NotedScale, str] = {None: "-", "fp32": "fp"}
    scales = (words.get(scale, str(scale)) for scale in (weight_scale_bits, activation_scale_bits))
    return "/".join([str(weight_bits), str(activation_bits), *scales])
