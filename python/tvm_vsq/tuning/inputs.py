"""Inputs for quantizing a model whose numbers do not matter."""

from __future__ import annotations

from typing import Any

from tvm_vsq.network.inputs import inputs_of
from tvm_vsq.tvm_compat import IRModule


def random_calibration(module: IRModule, seed: int) -> list[tuple[Any, ...]]:
    """One sample of noise for each input of "main": enough to tune, as schedules depend on shapes alone."""
    return [tuple(each.sample(seed + place) for place, each in enumerate(inputs_of(module["main"])))]
