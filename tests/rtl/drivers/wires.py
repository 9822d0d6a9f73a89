"""What the drivers share: a block's pins, its clock, and docs/numerics.md's arithmetic in Python's integers.

These run inside the simulator, by cocotb. They use neither NumPy nor the package, so that they are a third
word beside the RTL and the reference.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Sequence
from typing import Any

from cocotb.triggers import Timer


def setting() -> dict[str, int]:
    """Parameters of the module, `latency` in clocks, and the `count` of transactions."""
    return json.loads(os.environ["VSQ_SETTING"])


async def tick(dut: Any, pins: dict[str, int]) -> None:
    """A clock with these inputs; the outputs behind its edge can be read afterwards."""
    for name, value in pins.items():
        getattr(dut, name).value = value
    dut.clock.value = 0
    await Timer(1, "step")
    dut.clock.value = 1
    await Timer(1, "step")


def packed(values: Sequence[int], bits: int) -> int:
    """Numbers side by side, the first lowest."""
    return sum((value & ((1 << bits) - 1)) << (bits * i) for i, value in enumerate(values))


def rounded(number: int, shift: int) -> int:
    """number / 2^shift, halves up."""
    return (number + (1 << shift >> 1)) >> shift


def split(element: int, bits: int, digits: int) -> list[int]:
    """The element's digits of so many bits, the lowest first, those above it the sign's."""
    return [element >> place * bits & ((1 << bits) - 1) for place in range(digits)]


def number(rng: random.Random, bits: int, is_unsigned: bool) -> int:
    """Often as large or as small as can be."""
    low, high = (0, (1 << bits) - 1) if is_unsigned else (-(1 << bits >> 1), (1 << bits >> 1) - 1)
    return rng.choice((low, high, rng.randint(low, high), rng.randint(low, high) >> rng.randrange(bits)))
