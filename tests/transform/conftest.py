"""Networks taken through the compiler's phases, once for all tests of this room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from tests.quantizing import quantize
from tvm.ir import IRModule

from tvm_vsq.frontend import import_model
from tvm_vsq.hardware import HardwareConfig, load_hardware
from tvm_vsq.quantize import QuantConfig
from tvm_vsq.transform import fuse


@dataclass(frozen=True)
class Stages:
    """A network as fp32, fake-quantized and fused module, and an input for it."""

    fp32: IRModule
    quantized: IRModule
    fused: IRModule
    x: Any


def target(notation: str) -> HardwareConfig:
    """A target for `notation` with a 44-bit accumulator, so that no width is refused."""
    config = QuantConfig.parse(notation)
    widths = {name: getattr(config, name) for name in config.model_dump() if name.endswith("_bits")}
    return load_hardware("vsq-accel").model_copy(update={"accumulator_bits": 44, **widths})


@pytest.fixture(scope="session")
def stages(networks: Any) -> Callable[..., Stages]:
    """Of a class in tests/networks.py, or another module class with an entry in its INPUTS."""

    @cache
    def make(network: Any, notation: str = "4/4/4/4") -> Stages:
        hardware = target(notation)
        model, x = networks.build(network)
        fp32 = import_model(model, (x,))
        config = QuantConfig.parse(notation).unfitted()  # fitting has tests of its own
        quantized = quantize(fp32, config, hardware, networks.samples(network))
        return Stages(fp32, quantized, fuse(quantized, hardware), x)

    return make
