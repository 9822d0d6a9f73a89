"""YAML files of the accelerator and its technology."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tvm_vsq.errors import ConfigError
from tvm_vsq.files import parse_yaml


def targets_directory() -> Path:
    """The directory of the shipped accelerator descriptions (in a source tree, the repository's own)."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "target_configs"
    return installed if installed.is_dir() else package.parents[1] / "target_configs"


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; ConfigError if the file cannot be read or holds something else."""
    data = parse_yaml(path, ConfigError)
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a mapping of keys, found {type(data).__name__}")
    return data
