"""Fixtures: the independent interpreter and the random networks of this room."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _sibling(name: str) -> ModuleType:
    full = f"tvm_vsq_test_codegen_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, Path(__file__).with_name(f"{name}.py"))
        if spec is None or spec.loader is None:
            raise ImportError(f"tests/codegen/{name}.py is missing")
        sys.modules[full] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[full])
    return sys.modules[full]


@pytest.fixture(scope="session")
def machine() -> ModuleType:
    return _sibling("machine")


@pytest.fixture(scope="session")
def cases() -> ModuleType:
    return _sibling("cases")
