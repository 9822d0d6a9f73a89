"""Which settings each layer gets from a QuantConfig."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from fnmatch import fnmatchcase

from tvm_vsq.errors import ConfigError
from tvm_vsq.network.names import is_group, whole_of
from tvm_vsq.quantize.config import LayerConfig, QuantConfig, Rule

_KINDS = (":first", ":last", ":depthwise")


class Kind(Enum):
    """Of layers: with weights; depthwise convolution; other ones with groups, on the CPU; without weights."""

    ORDINARY = auto()
    DEPTHWISE = auto()
    GROUPED = auto()
    WEIGHTLESS = auto()


@dataclass(frozen=True)
class Candidate:
    """A layer that can be quantized."""

    name: str
    kind: Kind = Kind.ORDINARY


def resolve(config: QuantConfig, layers: Sequence[Candidate]) -> dict[str, LayerConfig | None]:
    """The settings of each layer by name, None where it stays in fp32; `layers` are in program order.

    Raises ConfigError for a rule whose pattern matches none of them.
    """
    settings: dict[str, LayerConfig | None] = {
        layer.name: None if layer.kind is Kind.GROUPED else config.base for layer in layers
    }
    for rule in config.rules:
        for name in _matching(rule, layers):
            before = settings[name]
            settings[name] = None if rule.fp32 else rule.applied_to(before or config.base)
    return settings


def _matching(rule: Rule, layers: Sequence[Candidate]) -> list[str]:
    pattern = rule.layers
    if pattern.startswith(":") and pattern not in _KINDS:
        raise ConfigError(f"rule for '{pattern}': known kinds of layers are {', '.join(_KINDS)}")
    if pattern == ":depthwise":
        found = [
            layer.name
            for layer in layers
            if layer.kind in (Kind.DEPTHWISE, Kind.GROUPED) or is_group(layer.name)
        ]
    elif pattern in _KINDS:
        ordinary = [layer.name for layer in layers if layer.kind is Kind.ORDINARY]
        named = ordinary[:1] if pattern == ":first" else ordinary[-1:]
        found = [name for name in ordinary if whole_of(name) in map(whole_of, named)]
    else:
        found = [
            layer.name
            for layer in layers
            if fnmatchcase(layer.name, pattern) or fnmatchcase(whole_of(layer.name), pattern)
        ]
    if not found:
        names = ", ".join(layer.name for layer in layers)
        raise ConfigError(f"rule for '{pattern}' matches no layer; the model's are {names or 'none'}")
    return found
