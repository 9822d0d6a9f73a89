"""Fixtures for all rooms."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def networks() -> ModuleType:
    """tests/networks.py, imported only by the tests that ask for it: it needs torch."""
    return _helper("networks")


@pytest.fixture(scope="session")
def onnx_models() -> ModuleType:
    """tests/onnx_models.py."""
    return _helper("onnx_models")


def _helper(file: str) -> ModuleType:
    name = f"tvm_vsq_test_{file}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{file}.py"))
        if spec is None or spec.loader is None:
            raise ImportError(f"tests/{file}.py is missing")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]
