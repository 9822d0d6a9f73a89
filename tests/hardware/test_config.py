"""Accelerator descriptions: the shipped ones are comparable, and impossible ones are refused."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tvm_vsq.errors import ConfigError
from tvm_vsq.formats import SCALE_BITS
from tvm_vsq.hardware import HardwareConfig, list_targets, list_technologies, load_hardware, parse_hardware

SHIPPED = load_hardware("vsq-accel")
LONGEST_RESNET50_REDUCTION = 3 * 3 * 512


def refused(edit: Any) -> str:
    data = copy.deepcopy(SHIPPED.model_dump())
    edit(data)
    with pytest.raises(ConfigError) as caught:
        parse_hardware(data, "file.yaml")
    assert all(line.startswith("file.yaml: ") for line in str(caught.value).splitlines())
    return str(caught.value)


@pytest.mark.parametrize("name", list_targets())
def test_a_shipped_target_has_the_name_of_its_file_and_a_known_technology(name: str) -> None:
    hardware = load_hardware(name)
    assert hardware.name == name
    assert hardware.technology in list_technologies()


def test_the_shipped_targets_are_the_three_formats() -> None:
    notations = {name: load_hardware(name).notation for name in list_targets()}
    assert notations == {
        "vsq-accel": "4/4/4/4",
        "vsq-accel-int8": "8/8/-/-",
        "vsq-accel-w4a8": "4/8/6/10",
    }


def test_the_shipped_targets_differ_in_number_formats_only() -> None:
    formats = {
        "name",
        "weight_bits",
        "activation_bits",
        "weight_scale_bits",
        "activation_scale_bits",
        "scale_product_bits",
    }
    machines = [load_hardware(name).model_dump(exclude=formats) for name in list_targets()]
    assert all(machine == machines[0] for machine in machines)


@pytest.mark.parametrize("name", list_targets())
def test_the_longest_reduction_of_resnet50_fits_the_accumulator(name: str) -> None:
    h = load_hardware(name)
    weight, activation = 2 ** (h.weight_bits - 1) - 1, 2**h.activation_bits - 1
    if h.product_shift:
        product = 2**h.product_bits - 1
    else:
        product = (2 ** (h.weight_scale_bits or 1) - 1) * (2 ** (h.activation_scale_bits or 1) - 1)
    assert LONGEST_RESNET50_REDUCTION * weight * activation * product < 2 ** (h.accumulator_bits - 1)


def test_one_more_scale_product_bit_would_not_fit_the_w4a8_accumulator() -> None:
    h = load_hardware("vsq-accel-w4a8")
    one_more = 2 ** (h.product_bits + 1) - 1
    assert LONGEST_RESNET50_REDUCTION * 7 * 255 * one_more >= 2 ** (h.accumulator_bits - 1)


def test_an_unknown_key_is_named() -> None:
    assert "unknown key 'wieght_bits'; remove it or correct its spelling" in refused(
        lambda d: d.update(wieght_bits=4)
    )


def test_an_unknown_nested_key_is_named_with_its_path() -> None:
    assert "unknown key 'scratchpads.inp_mib'" in refused(lambda d: d["scratchpads"].update(inp_mib=1))


def test_a_missing_key_is_named_with_an_example() -> None:
    text = refused(lambda d: d["timing"].pop("fetch_cycles"))
    assert (
        "key 'timing.fetch_cycles' is missing; add it (tvm-vsq target show vsq-accel shows every key)" in text
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("weight_bits", 1),
        ("weight_bits", 9),
        ("activation_bits", 0),
        ("weight_scale_bits", SCALE_BITS[1] + 1),
        ("vector_size", 12),
        ("output_lanes", 0),
        ("accumulator_bits", 8),
        ("guard_bits", -1),
        ("multiplier_bits", 17),
        ("clock_mhz", 0),
        ("weight_bits", "4"),
        ("weight_bits", 4.0),
        ("weight_bits", True),
        ("name", "two words"),
    ],
)
def test_an_impossible_value_is_named_with_its_key(key: str, value: Any) -> None:
    text = refused(lambda d: d.update({key: value}))
    assert text.startswith(f"file.yaml: {key}: ")
    assert text.endswith(f"(got {value!r})")


@pytest.mark.parametrize("pad", ["uop", "inp", "wgt", "acc", "par", "out"])
def test_a_scratchpad_of_no_size_is_refused(pad: str) -> None:
    assert f"scratchpads.{pad}_kib: " in refused(lambda d: d["scratchpads"].update({f"{pad}_kib": 0}))


def test_a_burst_lies_in_one_row() -> None:
    text = refused(lambda d: d["dram"].update(burst_bytes=1024, row_bytes=512))
    assert "dram.burst_bytes=1024 exceeds dram.row_bytes=512" in text


def test_a_scratchpad_that_holds_less_than_two_entries_is_refused_with_the_remedy() -> None:
    def edit(data: Any) -> None:
        data.update(vector_size=64, output_lanes=64, weight_bits=8)
        data["scratchpads"].update(wgt_kib=4)

    assert "raise wgt_kib so that it holds at least 2" in refused(edit)


def test_a_scratchpad_beyond_the_instruction_fields_is_refused_with_the_remedy() -> None:
    assert "lower inp_kib" in refused(lambda d: d["scratchpads"].update(inp_kib=16384))


def test_more_scale_product_bits_than_the_scales_have_are_refused() -> None:
    text = refused(lambda d: d.update(scale_product_bits=9))
    assert "scale_product_bits=9 exceeds the 8 bits" in text
    assert "use null or a value up to 8" in text


def test_a_scale_product_without_scales_is_refused() -> None:
    assert "scale_product_bits" in refused(
        lambda d: d.update(weight_scale_bits=None, activation_scale_bits=None, scale_product_bits=1)
    )


def test_all_faults_are_named_at_once() -> None:
    text = refused(lambda d: d.update(weight_bits=99, clock_mhz=0))
    assert "weight_bits" in text
    assert "clock_mhz" in text


def test_a_target_is_a_name_a_path_or_a_config(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(SHIPPED.model_dump() | {"name": "mine"}), encoding="utf-8")
    assert load_hardware(path) == load_hardware(str(path)) == SHIPPED.model_copy(update={"name": "mine"})
    assert load_hardware(SHIPPED) is SHIPPED


def test_a_shipped_name_is_reported_only_with_the_shipped_sizes(tmp_path: Path) -> None:
    assert [load_hardware(name).label for name in list_targets()] == list_targets()
    data = copy.deepcopy(SHIPPED.model_dump())
    data["dram"]["latency_cycles"] = 10
    path = tmp_path / "vsq-accel.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    modified = load_hardware(path)
    assert (modified.name, modified.label) == ("vsq-accel", "vsq-accel (modified: dram.latency_cycles=10)")
    assert modified.with_formats("3/3/4/4").label == "vsq-accel-modified_3.3.4.4_V16"
    assert SHIPPED.with_formats("3/3/4/4").label == "vsq-accel_3.3.4.4_V16"
    assert modified.model_copy(update={"name": "mine"}).label == "mine"


def test_many_differences_are_counted() -> None:
    timing = dict.fromkeys(type(SHIPPED.timing).model_fields, 7)
    other = HardwareConfig.model_validate(SHIPPED.model_dump() | {"timing": timing, "clock_mhz": 1})
    assert other.label == (
        "vsq-accel (modified: clock_mhz=1, timing.fetch_cycles=7, timing.fetch_buffer_bursts=7, "
        "timing.dma_setup_cycles=7, 6 more)"
    )


def test_an_unknown_technology_is_refused_before_any_work(tmp_path: Path) -> None:
    message = "technology: unknown technology '5nm'; known are .*horowitz-45nm.*, or give the path"
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(SHIPPED.model_dump() | {"technology": "5nm"}), encoding="utf-8")
    with pytest.raises(ConfigError, match=f"^{path}: {message}"):
        load_hardware(path)
    with pytest.raises(ConfigError, match=f"^target 'vsq-accel .*': {message}"):
        load_hardware(SHIPPED.model_copy(update={"technology": "5nm"}))
    path.with_name("tech.yaml").write_text("name: bad", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"technology: .*tech\.yaml: key 'process_nm' is missing"):
        load_hardware(SHIPPED.model_copy(update={"technology": str(path.with_name("tech.yaml"))}))


def test_an_unknown_target_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"unknown target 'vsq-acel'; known are vsq-accel, vsq-accel-int8"):
        load_hardware("vsq-acel")


@pytest.mark.parametrize(
    ("text", "message"), [("a: [", "cannot be read as YAML"), ("- 1", "expected a mapping")]
)
def test_a_file_that_is_no_mapping_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_hardware(path)


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(ConfigError, match="weight_bits cannot be changed"):
        SHIPPED.weight_bits = 8


@given(st.integers(2, 8), st.one_of(st.none(), st.integers(1, 10)), st.sampled_from([8, 16, 32, 64]))
def test_records_hold_their_entries_and_waste_less_than_a_byte(
    bits: int, scale: int | None, vector: int
) -> None:
    data = SHIPPED.model_dump() | {
        "activation_bits": bits,
        "activation_scale_bits": scale,
        "vector_size": vector,
    }
    hardware = HardwareConfig.model_validate(data)
    assert hardware.entry_bits["inp"] == vector * bits + (scale or 0)
    for pad, size in hardware.record_bytes.items():
        if pad != "acc":
            assert 0 <= 8 * size - hardware.entry_bits[pad] < 8


def test_other_formats_make_another_target():
    base = load_hardware("vsq-accel-w4a8")
    built = base.with_formats("6/3/-/10", vector_size=32, scale_product_bits=7)
    assert (built.notation, built.vector_size, built.product_bits) == ("6/3/-/10", 32, 7)
    assert built.with_formats("4/8/6/10").scale_product_bits is None
    changed = {"name", "weight_bits", "activation_bits", "weight_scale_bits", "activation_scale_bits"}
    changed |= {"vector_size", "scale_product_bits", "accumulator_bits", "timing"}
    assert built.model_dump(exclude=changed) == base.model_dump(exclude=changed)
    # The PPU waits for the second block of a vector of 32.
    later = {"ppu_pipeline_cycles": base.timing.ppu_pipeline_cycles + 1}
    assert built.timing.model_dump() == base.timing.model_dump() | later
    assert built.with_formats("4/8/6/10", vector_size=8).timing == base.timing


@pytest.mark.parametrize(("kept", "bits"), [(None, 41), (16, 41), (8, 33), (4, 32)])
def test_a_rounded_product_of_scales_needs_a_narrower_accumulator(kept, bits):
    """8192 products of 4 and 8 bits, times P bits."""
    built = load_hardware("vsq-accel").with_formats("4/8/6/10", scale_product_bits=kept)
    assert built.accumulator_bits == bits


@pytest.mark.parametrize("notation", ["8/8/10/10", "2/2/1/1", "8/8/-/-"])
def test_other_formats_come_with_an_accumulator_for_8192_elements(notation):
    built = load_hardware("vsq-accel").with_formats(notation)
    largest = (2 ** (built.weight_bits - 1) - 1) * (2**built.activation_bits - 1)
    largest *= (2 ** (built.weight_scale_bits or 1) - 1) * (2 ** (built.activation_scale_bits or 1) - 1)
    limit = 2 ** (built.accumulator_bits - 1)
    assert 8192 * largest < limit or built.accumulator_bits == 46


@pytest.mark.parametrize(
    ("notation", "message"),
    [
        ("9/4/4/4", "weight_bits: .*less than or equal to 8"),
        ("4/4/fp/4", "weight_scale_bits: .*valid integer"),
        ("4/4/4", "is not understood: write W/A/ws/as"),
    ],
)
def test_formats_that_no_accelerator_has_are_refused(notation, message):
    with pytest.raises(ConfigError, match=message):
        load_hardware("vsq-accel").with_formats(notation)


def test_formats_are_those_of_the_widths_in_a_copy_too() -> None:
    hardware = load_hardware("vsq-accel")
    assert (hardware.formats.notation, hardware.formats.weight.vector_size) == ("4/4/4/4", 16)
    wider = hardware.model_copy(update={"weight_bits": 8, "vector_size": 32})
    assert (wider.formats.notation, wider.formats.weight.vector_size) == ("8/4/4/4", 32)
    assert wider.entry_bits["wgt"] == wider.output_lanes * (32 * 8 + 4)
    assert load_hardware("vsq-accel") == hardware  # nothing of it is a field
    assert load_hardware("vsq-accel").model_dump_json() == hardware.model_dump_json()


@pytest.mark.parametrize("size", [16.0, "16", True])
def test_a_vector_size_is_an_integer(size):
    with pytest.raises(ConfigError, match=f"vector_size must be an integer, not {size!r}"):
        SHIPPED.with_formats("4/4/4/4", vector_size=size)


def test_other_values_are_given_by_dotted_names_or_by_parts() -> None:
    base = load_hardware("vsq-accel")
    dotted = base.with_(**{"output_lanes": 32, "dram.bytes_per_cycle": 32, "scratchpads.banks.acc": 2})
    parts = base.with_(output_lanes=32, dram={"bytes_per_cycle": 32}, scratchpads={"banks": {"acc": 2}})
    assert dotted == parts
    assert dotted.macs_per_cycle == 2 * base.macs_per_cycle
    assert (dotted.dram.bytes_per_cycle, dotted.dram.latency_cycles) == (32, base.dram.latency_cycles)
    assert dotted.label == (
        "vsq-accel (modified: output_lanes=32, scratchpads.banks.acc=2, dram.bytes_per_cycle=32)"
    )
    assert base.with_() == base
    assert dotted.with_(dram=base.dram).dram == base.dram


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output_lane": 32}, "there is no field 'output_lane'; there are output_lanes"),
        ({"bytes_per_cycle": 32}, "there is no field 'bytes_per_cycle'; there are dram.bytes_per_cycle"),
        ({"bytes_per_cyle": 32}, "there is no field 'bytes_per_cyle'; there are dram.bytes_per_cycle"),
        ({"dram": 32}, "there is no field 'dram'; there are dram.capacity_mib, dram.bytes_per_cycle"),
        ({"dram": {"latency": 1}}, "there is no field 'dram.latency'; there are dram.latency_cycles"),
        ({"xyz": 1}, "there is no field 'xyz'; there are name, vector_size"),
        ({"output_lanes": 33}, "output_lanes: Input should be 4, 8, 16, 32 or 64 (got 33)"),
        ({"dram.burst_bytes": "64"}, "dram.burst_bytes: Input should be a valid integer (got '64')"),
        ({"scratchpads": {"banks": {"acc": 0}}}, "scratchpads.banks.acc: Input should be greater"),
        ({"technology": "wood"}, "technology: unknown technology 'wood'"),
        ({"self": 1}, "there is no field 'self'; there are name, vector_size"),
        (
            {"dram": {"bytes_per_cycle": 8}, "dram.bytes_per_cycle": 16},
            "'dram.bytes_per_cycle' is given twice (8, 16); give it once",
        ),
        (
            {"scratchpads": {"banks": {"acc": 2}, "banks.acc": 2}},
            "'scratchpads.banks.acc' is given twice (2, 2); give it once",
        ),
    ],
)
def test_other_values_are_checked_and_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_hardware("vsq-accel").with_(**changes)
    assert f"vsq-accel with other fields: {message}" in str(refused.value)
