"""Which of several cases are in `make test`; the rest are in `make test-large`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def one_of(cases: Iterable[Any]) -> list[Any]:
    """All of them; but for the first one, they are large."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else [case]), marks=[pytest.mark.large] * (number > 0))
        for number, case in enumerate(cases)
    ]


def seeds(count: int) -> list[Any]:
    """0 to count - 1; the second half is large."""
    return [pytest.param(seed, marks=[pytest.mark.large] * (seed >= count // 2)) for seed in range(count)]
