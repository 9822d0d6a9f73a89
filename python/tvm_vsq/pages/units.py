"""Quantities as a reader wants them: three digits and a unit."""

from __future__ import annotations

import math

_PREFIXES = {4: "T", 3: "G", 2: "M", 1: "k", 0: "", -1: "m", -2: "µ", -3: "n", -4: "p"}


def quantity(value: float, unit: str) -> str:
    """A number with its SI prefix: `quantity(69.61e-6, "J")` is "69.6 µJ"."""
    if not value:
        return f"0 {unit}"
    # what rounds to 1000 has the next prefix
    rounded = float(f"{value:.3g}")
    power = min(4, max(-4, math.floor(math.log10(abs(rounded)) / 3 + 1e-9)))
    scaled = rounded / 1000.0**power
    digits = 2 if abs(scaled) < 10 else 1 if abs(scaled) < 100 else 0
    return f"{scaled:.{digits}f} {_PREFIXES[power]}{unit}"
