"""YAML files into validated models, with errors that name the file, the key and the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from tvm_vsq.errors import ConfigError

ModelT = TypeVar("ModelT", bound=BaseModel)


class Frozen(BaseModel):
    """A description that cannot change, has no unknown keys, and takes no value of another type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def targets_directory() -> Path:
    """The directory of the shipped accelerator descriptions (in a source tree, the repository's own)."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "target_configs"
    return installed if installed.is_dir() else package.parents[1] / "target_configs"


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; ConfigError if the file cannot be read or holds something else."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a mapping of keys, found {type(data).__name__}")
    return data


def validate(model: type[ModelT], data: Any, source: str, example: str) -> ModelT:
    """A `model` from a mapping read from `source`; ConfigError has a line for each key at fault.

    `example` is the shipped file that shows every key.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise ConfigError(
            "\n".join(_explain(dict(item), source, example) for item in error.errors())
        ) from None


def _explain(item: dict[str, Any], source: str, example: str) -> str:
    key = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return f"{source}: unknown key '{key}'; remove it or correct its spelling ({example} shows every key)"
    if item["type"] == "missing":
        return f"{source}: key '{key}' is missing; add it ({example} shows every key)"
    got = f" (got {item['input']!r})" if key else ""
    return f"{source}: {key + ': ' if key else ''}{item['msg'].removeprefix('Value error, ')}{got}"
