"""Descriptions: whatever makes one checks every field, and says which is wrong in an error of the product."""

from __future__ import annotations

import pytest

import tvm_vsq
from tvm_vsq.errors import ConfigError, ProgramError, ScheduleError, VsqError
from tvm_vsq.hardware import HardwareConfig, Technology, load_hardware, load_technology
from tvm_vsq.runtime import TensorSpec
from tvm_vsq.schedule import Record

HARDWARE = load_hardware("vsq-accel")
CONFIG = tvm_vsq.QuantConfig.parse("4/4/4/4")
RECORD = {"workload": "w", "hardware": "h", "knobs": {}, "cycles": 1, "default_cycles": 1, "trials": 1}


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: HardwareConfig(name="x"), ConfigError, "HardwareConfig: key 'vector_size' is missing"),
        (
            lambda: HardwareConfig(**{**HARDWARE.model_dump(), "dram": {"capacity_mib": "a"}}),
            ConfigError,
            r"HardwareConfig: dram\.capacity_mib: .*integer \(got 'a'\)",
        ),
        (lambda: Technology(name=""), ConfigError, "Technology: name: "),
        (lambda: tvm_vsq.Rule(layers="x"), ConfigError, "Rule: rule for 'x': give either"),
        (lambda: tvm_vsq.QuantConfig(weight_bits=99), ConfigError, r"QuantConfig: weight_bits: .*got 99"),
        (lambda: CONFIG.model_copy(update={"weight_bits": 1}), ConfigError, r"weight_bits: .*got 1"),
        (lambda: CONFIG.model_copy(update={"bits": 1}), ConfigError, "unknown key 'bits'"),
        (lambda: HARDWARE.model_copy(update={"guard_bits": 99}), ConfigError, "guard_bits: "),
        (lambda: HARDWARE.model_copy(update={"dram": {}}), ConfigError, r"'dram\.capacity_mib' is missing"),
        (lambda: HARDWARE.with_formats("9/4/4/4"), ConfigError, "formats '9/4/4/4': weight_bits: "),
        (lambda: CONFIG.with_formats("9/4/4/4"), ConfigError, "formats '9/4/4/4': weight_bits: "),
        (lambda: tvm_vsq.QuantConfig.model_validate_json("{"), ConfigError, "QuantConfig: Invalid JSON"),
        (lambda: tvm_vsq.QuantConfig.model_validate(3), ConfigError, "QuantConfig: "),
        (lambda: Record(**RECORD), ScheduleError, "Record: knobs: .*expected the keys"),
        (lambda: tvm_vsq.Database(records=3), ScheduleError, "Database: records: "),
        (lambda: TensorSpec(name="x"), ProgramError, "TensorSpec: key 'shape' is missing"),
        (lambda: setattr(CONFIG, "weight_bits", 3), ConfigError, "weight_bits cannot be changed"),
        (lambda: delattr(HARDWARE.dram, "burst_bytes"), ConfigError, "burst_bytes cannot be changed"),
        (
            lambda: tvm_vsq.QuantConfig(**{**CONFIG.model_dump(), "weight_bits": 10**5000}),
            ConfigError,
            r"weight_bits: .*an integer of 16610 bits",
        ),
    ],
)
def test_what_is_wrong_is_named_by_a_vsq_error(make, error, message) -> None:
    with pytest.raises(error, match=message) as caught:
        make()
    assert isinstance(caught.value, VsqError)


def test_every_wrong_field_has_a_line_with_its_path() -> None:
    fields = HARDWARE.model_dump()
    fields["timing"]["fetch_cycles"] = -1
    fields["more"] = 1
    with pytest.raises(ConfigError) as caught:
        HardwareConfig(**fields)
    first, second = str(caught.value).splitlines()
    assert "timing.fetch_cycles" in first
    assert "'more'" in second


def test_a_copy_has_the_changes_and_all_else() -> None:
    copy = HARDWARE.model_copy(update={"guard_bits": 3})
    assert copy.guard_bits == 3
    assert copy.model_dump() == {**HARDWARE.model_dump(), "guard_bits": 3}
    assert HARDWARE.model_copy() == HARDWARE
    technology = load_technology(HARDWARE.technology)
    assert technology.model_copy(update={"name": "mine"}).sram_access == technology.sram_access
