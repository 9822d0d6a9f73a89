"""The space of a sweep: axes with their values, and the points that they span."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import product
from math import inf, prod
from typing import Any

import numpy as np

from tvm_vsq.errors import ConfigError, shown
from tvm_vsq.hardware import HardwareConfig, load_hardware
from tvm_vsq.hardware.changes import flat
from tvm_vsq.quantize import QuantConfig

TARGET, QUANT = "target", "quant"
_FORMATS = (QUANT, "vector_size", "scale_product_bits")
_DECIDED = (
    "name",
    "weight_bits",
    "activation_bits",
    "weight_scale_bits",
    "activation_scale_bits",
)
"""Fields of a description that are no axes: `quant` decides them."""
_PPU = "timing.ppu_pipeline_cycles"
_ADAPTED = ("accumulator_bits", _PPU)
"""What `HardwareConfig.with_formats` changes besides the formats."""
MOST_POINTS = 1_000_000

Axis = Mapping[Any, Any]
"""The values of an axis by their labels, which stand in the results: numbers, strings or None."""
Grid = Mapping[str, Axis]
Settings = Mapping[str, Any]
"""A label for each axis of a grid."""


@dataclass(frozen=True)
class Point:
    """One design: how the network is quantized, and the accelerator that it runs on."""

    config: QuantConfig
    hardware: HardwareConfig


def grids_of(space: Any) -> list[Grid]:
    """`space` as grids, each axis with labels.

    space: a mapping from axes to lists of values, or a list of such, whose points are taken together. Axes
    are "target" (names, paths or HardwareConfigs), "quant" (W/A/ws/as or QuantConfigs), "vector_size",
    "scale_product_bits", and every other field of a target's description, nested ones with a dot
    ("dram.bytes_per_cycle"). A mapping in place of a list gives values their labels.
    Raises ConfigError that names the axis for anything else.
    """
    grids = [space] if isinstance(space, Mapping) else space
    if not isinstance(grids, Sequence) or isinstance(grids, str) or not grids:
        raise ConfigError(f"space must be a mapping from axes to lists of values, not {shown(space)}")
    found: list[Grid] = []
    for grid in grids:
        if not isinstance(grid, Mapping) or not grid:
            raise ConfigError(f"space: a grid must be a mapping with an axis or more, not {shown(grid)}")
        found.append({_name(name): _axis(name, values) for name, values in grid.items()})
    _check_shared_labels(found)
    count = sum(prod(map(len, grid.values())) for grid in found)
    if count > MOST_POINTS:
        raise ConfigError(f"space has {count:,} points; {MOST_POINTS:,} are the most: take values out")
    return found


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise ConfigError(f"space: an axis has a name, not {shown(name)}")
    known = [TARGET, *_FORMATS, *flat(load_hardware("vsq-accel").model_dump())]
    if name not in known:
        near = get_close_matches(name, known) or [each for each in known if name in each]
        hint = (
            f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(dict.fromkeys(known))}"
        )
        raise ConfigError(f"space: there is no axis {shown(name)}; {hint}")
    if name in _DECIDED:
        why = "the axis 'target' decides it" if name == "name" else "the axis 'quant' decides it"
        raise ConfigError(f"space: {name} is no axis: {why}")
    return name


def _axis(name: str, values: Any) -> Axis:
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if isinstance(values, Mapping):
        labelled = {_label(label): value for label, value in values.items()}
    elif isinstance(values, Sequence) and not isinstance(values, str):
        labels = [_label(value) for value in values]
        _check_labels(name, labels)
        if twice := [label for label, count in Counter(labels).items() if count > 1]:
            raise ConfigError(
                f"space: {name}: {shown(twice[0])} stands for several values; drop doubles, or give a "
                "mapping from labels to values"
            )
        labelled = dict(zip(labels, values, strict=True))
    else:
        raise ConfigError(f"space: {name}: give a list of values, such as [{shown(values)}]")
    if not labelled:
        raise ConfigError(f"space: {name}: the list is empty; give one value or more")
    _check_labels(name, labelled)
    return labelled


def _check_labels(name: str, labels: Iterable[Any]) -> None:
    for label in labels:
        if not isinstance(label, str | int | float | None) or label in (inf, -inf) or label != label:
            raise ConfigError(
                f"space: {name}: {shown(label)} is no label: give strings or finite numbers, or a "
                "mapping from labels to values"
            )


def _check_shared_labels(grids: Sequence[Grid]) -> None:
    """Raise ConfigError for a label that stands for one value in one grid and for another in another one."""
    known: dict[tuple[str, Any], Any] = {}
    for grid in grids:
        for name, axis in grid.items():
            for label, value in axis.items():
                if known.setdefault((name, label), value) != value:
                    raise ConfigError(
                        f"space: {name}: {shown(label)} stands for several values; give mappings from labels "
                        "to values, with labels that differ"
                    )


def _label(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, QuantConfig):
        return value.notation + (f" with {len(value.rules)} rules" if value.rules else "")
    if isinstance(value, HardwareConfig):
        return value.label
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def points_of(grids: Sequence[Grid]) -> Iterator[tuple[Grid, Settings]]:
    """Every combination of labels of each grid, the last axis fastest; what two grids share, once."""
    seen = set()
    for grid in grids:
        for labels in product(*grid.values()):
            settings = dict(zip(grid, labels, strict=True))
            mark = tuple(sorted((name, repr(label)) for name, label in settings.items()))
            if mark not in seen:
                seen.add(mark)
                yield grid, settings


def point_of(grid: Grid, settings: Settings, target: HardwareConfig, quant: QuantConfig | None) -> Point:
    """The design that `settings`, a label for each axis of `grid`, stand for.

    target: where there is no axis "target". quant: settings of quantization besides its formats, and the
    formats where there is no axis "quant"; the target's own if None.
    Raises a VsqError if there is no such accelerator.
    """
    values = {name: grid[name][label] for name, label in settings.items()}
    fields = {name: value for name, value in values.items() if name not in (TARGET, *_FORMATS)}
    machine = _with_fields(load_hardware(values.get(TARGET, target)), fields)
    config, hardware = _built(machine, values, quant)
    asked = {name: fields[name] for name in _ADAPTED if name in fields}
    hardware = hardware.with_(**asked)  # what is asked for is not adapted to the formats
    config.check_hardware(hardware)
    return Point(config, hardware)


def _with_fields(machine: HardwareConfig, fields: Mapping[str, Any]) -> HardwareConfig:
    """`machine` with other values; its PPU waits for the blocks that a vector has with other lanes."""
    changed = machine.with_(**fields)
    more = changed.group_blocks - machine.group_blocks
    if more and _PPU not in fields:
        cycles = max(0, machine.timing.ppu_pipeline_cycles + more)
        changed = changed.with_(**{_PPU: cycles})
    return changed


def _built(
    machine: HardwareConfig, values: Mapping[str, Any], quant: QuantConfig | None
) -> tuple[QuantConfig, HardwareConfig]:
    """How to quantize, and `machine` built for that."""
    own = values.get(QUANT, quant)
    size = values.get("vector_size", own.vector_size if isinstance(own, QuantConfig) else machine.vector_size)
    if isinstance(own, str):
        config = (quant or QuantConfig.of_hardware(machine)).with_formats(own)
    elif own is None:
        config = QuantConfig.of_hardware(machine)
    elif isinstance(own, QuantConfig):
        config = own
    else:
        raise ConfigError(f"space: quant: {shown(own)} is neither W/A/ws/as nor a QuantConfig")
    config = config.model_copy(update={"vector_size": size})
    sizes_differ = size != machine.vector_size
    if "scale_product_bits" in values or sizes_differ:
        kept = values.get("scale_product_bits")
        notation = machine.notation if config.rules else config.notation
        machine = machine.with_formats(notation, vector_size=size, scale_product_bits=kept)
    return config, config.hardware(machine)
