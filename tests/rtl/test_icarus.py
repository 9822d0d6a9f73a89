"""The RTL computes what NumPy does, for shipped targets and any others; in Icarus, which knows unknowns."""

from __future__ import annotations

import pytest
from tests.rtl.configurations import random_accelerator
from tests.seeds import first_of

from tvm_vsq.hardware import HardwareConfig, list_targets, load_hardware
from tvm_vsq.rtl import blocks, check

pytestmark = pytest.mark.usefixtures("icarus")


def agrees(hardware: HardwareConfig, count: int, seed: int = 0) -> None:
    found = [check(hardware, block, count, seed, "icarus") for block in blocks(hardware).values()]
    wrong = [one.summary(hardware.label) for one in found if one.wrong]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", list_targets())
def test_each_block_of_a_shipped_target_computes_what_numpy_does(name: str) -> None:
    agrees(load_hardware(name), 60)


@pytest.mark.parametrize("seed", first_of(range(24), 5))
def test_each_block_of_any_accelerator_computes_what_numpy_does(seed: int) -> None:
    agrees(random_accelerator(seed), 50, seed)
