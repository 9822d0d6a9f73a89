"""What is compared: artifacts and profiles with each other, or targets with each other.

Inferences need the simulator and with it TVM, which targets are compared without: it takes seconds to import.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tvm_vsq.errors import InputError
from tvm_vsq.hardware import DramKind, HardwareConfig, Technology, load_hardware
from tvm_vsq.study.compare.targets import TargetComparison

if TYPE_CHECKING:
    from tvm_vsq.runtime import Executable, Profile
    from tvm_vsq.study.compare.comparison import Comparison

_Table = str | os.PathLike[str] | Technology | None


def compare(
    *items: Any, technology: _Table = None, dram: str | os.PathLike[str] | DramKind | None = None
) -> Comparison | TargetComparison:
    """Two or more inferences of one network, or two or more accelerators, side by side.

    items: each an Executable, a Profile or the path of an artifact (.so), which gives a Comparison: totals,
    layers, components, and in words what makes the difference to the first one. Or each a target (a name, the
    path of a YAML file, a HardwareConfig), which gives a TargetComparison: fields, areas, energies of events,
    peak figures. Or one mapping of such, by the names to show.
    technology, dram: what all energies and areas are by, as for `Profile.with_technology`; else each one's
    own.

    Raises InputError for fewer than two items, for inferences beside targets, and for inferences of different
    networks; ConfigError for an unknown target or technology; ProgramError for a file that is no artifact.
    """
    named: Mapping[Any, Any] | None = items[0] if len(items) == 1 and isinstance(items[0], Mapping) else None
    given = list(items if named is None else named.values())
    if len(given) < 2:
        raise InputError(f"compare takes at least two artifacts, profiles or targets, not {len(given)}")
    found = [_resolved(item) for item in given]
    labels = [_name(item, each) for item, each in zip(given, found, strict=True)]
    names = _distinct(labels) if named is None else [str(name) for name in named]
    targets = {
        name: each for name, each in zip(names, found, strict=True) if isinstance(each, HardwareConfig)
    }
    if len(targets) == len(found):
        return TargetComparison.of(targets, technology, dram)
    if targets:
        raise InputError(
            f"compare takes artifacts and profiles, or targets, but not both: '{next(iter(targets))}' is a "
            "target; compile the network for it"
        )
    from tvm_vsq.runtime import Executable
    from tvm_vsq.study.compare.comparison import Comparison

    profiles = {
        name: each.timing() if isinstance(each, Executable) else each
        for name, each in zip(names, found, strict=True)
        if not isinstance(each, HardwareConfig)
    }
    if technology is not None or dram is not None:
        profiles = {
            name: each.with_technology(each.technology if technology is None else technology, dram)
            for name, each in profiles.items()
        }
    return Comparison.of(profiles)


def _resolved(item: Any) -> Executable | Profile | HardwareConfig:
    is_path = isinstance(item, str | os.PathLike)
    if isinstance(item, HardwareConfig):
        return item
    if is_path and not str(os.fspath(item)).endswith(".so"):
        return load_hardware(item)
    from tvm_vsq.runtime import Executable, Profile, load

    if is_path:
        return load(item)
    if isinstance(item, Executable | Profile):
        return item
    raise InputError(
        f"compare takes artifacts (Executable, Profile, the path of a .so file) or targets, not "
        f"{type(item).__name__}"
    )


def _name(given: Any, found: Executable | Profile | HardwareConfig) -> str:
    if isinstance(found, HardwareConfig):
        return found.label
    if isinstance(given, str | os.PathLike):
        return Path(os.fsdecode(given)).stem
    return found.hardware.label if hasattr(found, "timing") else found.target


def _distinct(names: list[str]) -> list[str]:
    """Names that are there several times get numbers."""
    return [
        name if names.count(name) == 1 else f"{name} #{names[: at + 1].count(name)}"
        for at, name in enumerate(names)
    ]
