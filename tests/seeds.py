"""Which of several cases are in `make test`; the rest are in `make test-large`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def first_of(cases: Iterable[Any], count: int) -> list[Any]:
    """All of them; but for the first `count`, they are large. A tuple is the values of several parameters."""
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)), marks=[pytest.mark.large] * (n >= count)
        )
        for n, case in enumerate(cases)
    ]


def one_of(cases: Iterable[Any]) -> list[Any]:
    """All of them; but for the first one, they are large."""
    return first_of(cases, 1)


def seeds(count: int) -> list[Any]:
    """0 to count - 1; but for the first eighth, they are large."""
    return first_of(range(count), -(-count // 8))
