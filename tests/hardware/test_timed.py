"""Every key of a description says whether cycles depend on it.

That a schedule is stale where one in TIMED differs: tests/schedule/test_database.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tvm_vsq.frozen import Frozen
from tvm_vsq.hardware import HardwareConfig, load_hardware
from tvm_vsq.hardware.timed import TIMED, UNTIMED, timed_fields
from tvm_vsq.schedule import fingerprint

OTHER: dict[str, Any] = {"name": "other", "clock_mhz": 7, "technology": "/other.yaml"}


def keys(description: type[Frozen], prefix: str = "") -> Iterator[str]:
    for name, field in description.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Frozen):
            yield from keys(kind, f"{prefix}{name}.")
        else:
            yield prefix + name


def test_every_key_is_in_one_of_the_two_tables() -> None:
    found = set(keys(HardwareConfig))
    assert found - TIMED.keys() - UNTIMED.keys() == set(), "say in hardware/timed.py what it is"
    assert TIMED.keys() | UNTIMED.keys() == found
    assert not TIMED.keys() & UNTIMED.keys()


@pytest.mark.parametrize("key", UNTIMED)
def test_the_simulator_does_not_see_what_is_untimed(key: str) -> None:
    hardware = load_hardware("vsq-accel")
    other = hardware.model_copy(update={key: OTHER[key]})
    assert other.sim_params() == hardware.sim_params()
    assert timed_fields(other) == timed_fields(hardware)


@pytest.mark.parametrize(
    ("target", "mark"),
    [
        ("vsq-accel", "569a4d9123401e16"),
        ("vsq-accel-int8", "096819615b1d9a13"),
        ("vsq-accel-w4a8", "bac0638c8d1af704"),
    ],
)
def test_schedules_that_users_tuned_for_a_shipped_accelerator_stay_valid(target: str, mark: str) -> None:
    assert fingerprint(load_hardware(target)) == mark
