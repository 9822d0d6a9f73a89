"""Builds and runs one operator call on TVM's CPU path."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tests.ops.layers import function_of, on_cpu
from tvm.ir import Call, IRModule


@pytest.fixture
def module() -> Callable[..., IRModule]:
    """module(build, *arrays): a function of parameters like the arrays, whose body is build(*parameters)."""
    return function_of


@pytest.fixture
def run() -> Callable[..., np.ndarray]:
    """run(build, *arrays): what it computes on the CPU, and in torch."""

    def call(build: Callable[..., Call], *arrays: np.ndarray) -> np.ndarray:
        return on_cpu(function_of(build, *arrays), arrays)

    return call
