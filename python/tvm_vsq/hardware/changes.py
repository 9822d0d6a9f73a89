"""Fields of a description by dotted names, such as `dram.bytes_per_cycle`, and other values for some."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel

from tvm_vsq.errors import ConfigError, shown


def flat(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Nested fields by dotted names."""
    return dict(_leaves(fields, ""))


def changed(fields: Mapping[str, Any], changes: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Nested `fields` with `changes`, whose names may be dotted and whose values may be mappings of a part.

    Raises ConfigError that begins with `source`: with near names, for a name that is not among `fields`; for
    a field that `changes` give twice.
    """
    known, others = flat(fields), list(_leaves(changes, ""))
    names = [name for name, _ in others]
    for name in names:
        if names.count(name) > 1:
            values = ", ".join(shown(given) for field, given in others if field == name)
            raise ConfigError(f"{source}: {shown(name)} is given twice ({values}); give it once")
    nested: dict[str, Any] = {}
    for name, value in (known | dict(others)).items():
        if name not in known:
            near = _near(name, known) or known
            raise ConfigError(f"{source}: there is no field {shown(name)}; there are {', '.join(near)}")
        *groups, field = name.split(".")
        inner = nested
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[field] = value
    return nested


def _leaves(fields: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        part = value.model_dump() if isinstance(value, BaseModel) else value
        if isinstance(part, Mapping):
            yield from _leaves(part, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _near(name: str, known: Mapping[str, Any]) -> list[str]:
    """The fields of the group `name`, those called so in any group, or those spelt alike."""
    last = name.rpartition(".")[2]
    inside = [each for each in known if each.startswith(f"{name}.") or each.rpartition(".")[2] == last]
    ends = {each.rpartition(".")[2]: each for each in known}
    alike = [ends[end] for end in get_close_matches(last, ends)]
    return inside or get_close_matches(name, known) or alike
