"""Fixtures: the independent interpreter and the random networks of this room."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def machine() -> ModuleType:
    return importlib.import_module("tests.codegen.machine")


@pytest.fixture(scope="session")
def cases() -> ModuleType:
    return importlib.import_module("tests.codegen.cases")
