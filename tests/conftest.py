"""Fixtures and settings for all rooms."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import hypothesis
import pytest

# Tests run side by side, a process a core (Makefile): threads of torch and TVM that wait for one another on
# busy cores cost ten times what they save. Read when torch and TVM are imported, also by subprocesses.
for _variable in ("OMP_NUM_THREADS", "TVM_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("tvm_vsq", deadline=None)
hypothesis.settings.load_profile("tvm_vsq")


@pytest.fixture(scope="session")
def networks() -> ModuleType:
    """tests/networks.py, imported only by the tests that ask for it: it needs torch."""
    return _helper("networks")


@pytest.fixture(scope="session")
def onnx_models() -> ModuleType:
    """tests/onnx_models.py."""
    return _helper("onnx_models")


@pytest.fixture(scope="session")
def relax_functions() -> ModuleType:
    """tests/relax_functions.py."""
    return _helper("relax_functions")


def _helper(file: str) -> ModuleType:
    name = f"tvm_vsq_test_{file}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{file}.py"))
        if spec is None or spec.loader is None:
            raise ImportError(f"tests/{file}.py is missing")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]
