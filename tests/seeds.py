"""Seeds of random cases: the first ones in `make test`, the rest in `make test-large`."""

from __future__ import annotations

from typing import Any

import pytest


def seeds(count: int) -> list[Any]:
    """0 to count - 1; the second half is large."""
    return [pytest.param(seed, marks=[pytest.mark.large] * (seed >= count // 2)) for seed in range(count)]
