"""Pairs whose difference has a known cause: the comparison names it, and its numbers are those of both."""

from __future__ import annotations

import html
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import tvm_vsq
from tvm_vsq import compare
from tvm_vsq.errors import ConfigError, InputError
from tvm_vsq.study.compare.columns import change
from tvm_vsq.study.compare.rows import matched

BASE = tvm_vsq.load_hardware("vsq-accel")


class Net(nn.Module):
    """Nine channels, which fill a vector of 16 less badly than one of 32; `wide` has the most weights."""

    def __init__(self, size: int = 8) -> None:
        super().__init__()
        self.thin, self.wide = nn.Conv2d(9, 32, 3, padding=1), nn.Conv2d(32, 48, 3, padding=1)
        self.size = size

    def forward(self, x):
        return self.wide(torch.relu(self.thin(x)))


class Rows(nn.Module):
    """The vector unit sums rows here."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(32, 32), nn.LayerNorm(32), nn.Linear(32, 16)

    def forward(self, x):
        return self.last(self.norm(self.first(x)))


class Pool(nn.Module):
    """The vector unit has no rows to sum here."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 16, 1)

    def forward(self, x):
        return torch.max_pool2d(self.conv(x), 2)


def compiled(hardware=BASE, size=8, fp32="", network=Net, shape=(), **options):
    torch.manual_seed(0)
    samples = torch.randn(4, *(shape or (9, size, size)))
    quant = tvm_vsq.QuantConfig.of_hardware(hardware).unfitted().model_copy(update={"thin_inputs": "model"})
    if fp32:
        quant = quant.model_copy(update={"rules": (tvm_vsq.Rule(layers=fp32, fp32=True),)})
    options = {"schedules": "default", "check_import": False} | options
    return tvm_vsq.compile(
        network(), hardware, example_inputs=samples[:1], calibration=samples, quant=quant, **options
    )


@pytest.fixture(scope="module")
def base():
    return compiled()


def with_dram(**changes):
    return BASE.model_copy(update={"dram": BASE.dram.model_copy(update=changes)})


def sentences(found):
    (only,) = found.reasons.values()
    return only


def test_totals_layers_and_components_are_those_of_the_profiles(base):
    other = compiled(tvm_vsq.load_hardware("vsq-accel-int8"))
    found = compare({"narrow": base, "bytes": other})
    profiles = {"narrow": base.timing(), "bytes": other.timing()}
    data = json.loads(found.to_json())
    for name, profile in profiles.items():
        assert data["totals"]["cycles"][name] == profile.cycles
        assert data["totals"]["energy_uj"][name] == pytest.approx(profile.energy_pj / 1e6)
        assert data["totals"]["area_mm2"][name] == pytest.approx(profile.hardware.area().mm2)
        assert {row["name"]: row[name]["cycles"] for row in data["layers"]} == {
            layer.name: layer.cycles for layer in profile.layers
        }
        assert {part: row[name] for part, row in data["energy_pj"].items() if row[name]} == pytest.approx(
            profile.energy_by_part()
        )
    assert data["fields_that_differ"]["weight_bits"] == {"narrow": 4, "bytes": 8}
    assert f"{profiles['bytes'].cycles:,}" in str(found)
    for width in (80, 120):
        assert max(map(len, found.to_str(width=width).splitlines())) <= width


def test_half_the_bandwidth_is_named(base):
    slow = compiled(with_dram(bytes_per_cycle=2))
    first, *rest = sentences(compare({"fast": base, "slow": slow}))
    before, after = base.timing(), slow.timing()
    assert f"'slow' takes {after.cycles:,} cycles in place of {before.cycles:,}" in first
    transfers = [text for text in rest if "DRAM moves weights" in text]
    assert len(transfers) == 1
    assert "dram.bytes_per_cycle is 2 in place of 16" in transfers[0]
    assert "bits an element" not in " ".join(rest)
    grown = {
        name: cause.layers
        for name, profile in (("a", before), ("b", after))
        for cause in profile.why().causes
        if (cause.step, cause.data) == ("DRAM transfer", "weights")
    }
    difference = sum(grown["b"].values()) - sum(grown.get("a", {}).values())
    assert transfers[0].startswith(f"{difference:+,} cycles of the critical path")
    # The other way round, the same fact has made it faster.
    back = " ".join(sentences(compare({"slow": slow, "fast": base})))
    assert "dram.bytes_per_cycle is 16 in place of 2" in back


def test_a_field_that_does_not_explain_the_direction_is_not_given_as_a_reason(base):
    """DRAM hides more of the array's work, so that it has less of the critical path in spite of its longer
    pipeline.
    """
    timing = BASE.timing.model_copy(update={"gemm_pipeline_cycles": 9})
    slow = compiled(with_dram(bytes_per_cycle=2).model_copy(update={"timing": timing}))
    found = sentences(compare({"a": base, "b": slow}))
    (array,) = (text for text in found if "the array multiplies" in text)
    assert array.startswith("-")
    assert "gemm_pipeline_cycles" not in array
    profiles = base.timing(), slow.timing()
    work = [f"{profile.engine_busy['compute']:,}" for profile in profiles]
    path = [f"{array_on_the_path(profile):,}" for profile in profiles]
    assert (
        f"works for {work[1]} cycles in place of {work[0]}; {path[1]} in place of {path[0]} decide" in array
    )
    assert "slower" not in array


def array_on_the_path(profile):
    return sum(cause.cycles for cause in profile.why().causes if cause.step == "compute")


def test_free_transfers_have_reasons_too(base):
    free = compiled(with_dram(latency_cycles=0))
    text = " ".join(sentences(compare({"base": base, "free": free})))
    assert "dram.latency_cycles is 0 in place of 82" in text


@pytest.mark.parametrize(("network", "shape", "is_named"), [(Rows, (8, 32), True), (Pool, (16, 8, 8), False)])
def test_the_pipeline_of_rows_is_a_reason_where_rows_are_summed(network, shape, is_named):
    slow = BASE.with_(timing={"row_pipeline_cycles": 900, "vector_pipeline_cycles": 60})
    pair = [compiled(hardware, network=network, shape=shape) for hardware in (BASE, slow)]
    (text,) = (s for s in sentences(compare(*pair)) if "the vector unit calculates" in s)
    assert "timing.vector_pipeline_cycles is 60 in place of 6" in text
    assert ("timing.row_pipeline_cycles is 900 in place of 16" in text) == is_named


def test_fewer_bits_are_fewer_bytes(base):
    wide = compiled(tvm_vsq.load_hardware("vsq-accel-int8"))
    found = compare({"int8": wide, "int4": base})
    (traffic,) = (text for text in sentences(found) if "moves" in text and "DRAM bytes" in text)
    before, after = wide.timing(), base.timing()
    assert f"'int4' moves {after.dram_bytes:,} DRAM bytes in place of {before.dram_bytes:,}" in traffic
    assert f"is {after.minimum_dram_bytes:,} in place of {before.minimum_dram_bytes:,}" in traffic
    assert "weights take 4.25 in place of 8 bits an element" in traffic
    assert "activations take 4.5 in place of 8 bits" in traffic
    (energy,) = (text for text in sentences(found) if " uJ in place of " in text)
    assert "DRAM -" in energy
    assert "(all by bytes)" in energy
    assert "dram." not in " ".join(sentences(found))


def test_longer_vectors_are_filled_up(base):
    wide = compiled(BASE.with_formats("4/4/4/4", vector_size=32))
    (text,) = (s for s in sentences(compare({"V16": base, "V32": wide})) if "are padding" in s)
    before, after = base.timing(), wide.timing()
    assert text.startswith(f"{after.padding:.1%} in place of {before.padding:.1%} of the array's products")
    assert "'thin' input 9 -> 32 in place of 16" in text
    assert "'wide' input" not in text
    cycles = [profile.padded_macs // profile.hardware.macs_per_cycle for profile in (after, before)]
    assert f"for {cycles[0]:,} cycles in place of {cycles[1]:,}" in text
    (back,) = (s for s in sentences(compare({"V32": wide, "V16": base})) if "are padding" in s)
    assert "'thin' input 9 -> 16 in place of 32" in back


def test_only_what_goes_the_same_way_explains_traffic(base):
    """Vectors of 64 take fewer bits an element of weights, but more channels to fill them."""
    long = compiled(BASE.with_formats("4/4/4/4", vector_size=64))
    before, after = base.timing(), long.timing()
    assert after.minimum_dram_bytes > before.minimum_dram_bytes
    (text,) = (s for s in sentences(compare({"V16": base, "V64": long})) if "DRAM bytes" in s)
    assert (
        f"is {after.minimum_dram_bytes:,} in place of {before.minimum_dram_bytes:,} (vectors are filled up: "
        "'thin' input 9 -> 64 in place of 16, 'wide' input 32 -> 64 in place of 32)"
    ) in text
    assert "bits an element" not in text
    assert after.dram_ratio < before.dram_ratio
    assert f", but {after.dram_ratio:.2f} in place of {before.dram_ratio:.2f} times the least" in text


def test_tuned_schedules_are_named(base):
    torch.manual_seed(0)
    samples = torch.randn(4, 9, 8, 8)
    quant = tvm_vsq.QuantConfig.of_hardware(BASE).unfitted().model_copy(update={"thin_inputs": "model"})
    database = tvm_vsq.tune(
        Net(), BASE, trials=3, example_inputs=samples[:1], quant=quant, progress=False, check_import=False
    )
    tuned = compiled(schedules=database)
    (text,) = (s for s in sentences(compare({"default": base, "tuned": tuned})) if "schedules" in s)
    difference = tuned.timing().cycles - base.timing().cycles
    assert text == (
        f"2 of 2 layers have tuned schedules in 'tuned', 0 in 'default'; the 2 that differ make "
        f"{difference:+,} cycles"
    )


def test_two_technologies_differ_in_what_an_event_takes(base):
    profile = base.timing()
    other = profile.with_technology("open-45nm")
    text = " ".join(sentences(compare({"one": profile, "other": other})))
    assert f"'other' takes as many cycles as 'one', {profile.cycles:,}" in text
    assert "energies of 'other' are by open-45nm, those of 'one' by horowitz-45nm" in text
    dram = other.energy_by_part()["DRAM"] - profile.energy_by_part()["DRAM"]
    assert f"DRAM {dram / 1e6:+,.2f} uJ (all by what a byte takes)" in text
    same = compare(profile, other, technology="jouppi-7nm")
    assert same.totals["energy_uj"]["vsq-accel #1"] == same.totals["energy_uj"]["vsq-accel #2"]


def test_a_layer_that_only_one_has_on_the_accelerator_is_listed(base):
    without = compiled(fp32="thin")
    found = compare({"all": base, "part": without})
    (text,) = (s for s in sentences(found) if s.startswith("only 'all' has 'thin'"))
    layer = next(layer for layer in base.timing().layers if layer.name == "thin")
    assert f"{layer.cycles:,} cycles, {layer.macs:,} multiply-accumulates; the CPU of 'part'" in text
    (row,) = (row for row in found.to_dict()["layers"] if row["name"] == "thin")
    assert row["part"] is None


def test_layers_that_one_joins_are_one_row(base):
    profile = base.timing()
    whole = replace(profile.layers[0], name="thin + wide", macs=profile.macs)
    joined = replace(profile, layers=(whole,))
    (row,) = matched({"apart": profile, "joined": joined})
    assert [layer.name for layer in row.layers["apart"]] == ["thin", "wide"]
    assert row.cycles("apart") == profile.cycles


def test_different_networks_are_refused(base):
    other = base.timing()
    renamed = replace(other, layers=tuple(replace(layer, name=f"x.{layer.name}") for layer in other.layers))
    with pytest.raises(
        InputError, match=r"'a' and 'b' have no layer of the same name: .* different networks"
    ):
        compare({"a": base, "b": renamed})
    with pytest.raises(InputError, match=r"layer 'thin' has 165,888 multiply-accumulates in 'a' and 41,472"):
        compare({"a": base, "b": compiled(size=4)})


def test_what_cannot_be_compared_is_refused(base):
    with pytest.raises(InputError, match="at least two artifacts, profiles or targets, not 1"):
        compare(base)
    with pytest.raises(InputError, match="not both: 'vsq-accel #2' is a target; compile the network for it"):
        compare(base, "vsq-accel")
    with pytest.raises(InputError, match="not ndarray"):
        compare(base, np.zeros(3))
    with pytest.raises(ConfigError, match="unknown target 'nothing'"):
        compare("vsq-accel", "nothing")


def test_targets_are_compared_by_fields_areas_events_and_peak():
    other = tvm_vsq.load_hardware("vsq-accel-int8")
    found = compare("vsq-accel", other)
    data = json.loads(found.to_json())
    assert data["fields_that_differ"] == {
        "weight_bits": {"vsq-accel": 4, "vsq-accel-int8": 8},
        "activation_bits": {"vsq-accel": 4, "vsq-accel-int8": 8},
        "weight_scale_bits": {"vsq-accel": 4, "vsq-accel-int8": None},
        "activation_scale_bits": {"vsq-accel": 4, "vsq-accel-int8": None},
    }
    assert data["area_mm2"]["vsq-accel-int8"] == pytest.approx(other.area().by_group())
    assert data["peak"]["vsq-accel"]["tops"] == pytest.approx(2 * 256 * 500e6 / 1e12)
    assert data["event_pj"]["macs"]["vsq-accel"] < data["event_pj"]["macs"]["vsq-accel-int8"]
    text = found.to_str(width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert f"{other.area().by_group()['MACs']:.4f}" in text
    assert repr(found) == "<TargetComparison: vsq-accel, vsq-accel-int8: 4 fields differ>"


def test_what_a_machine_takes_and_a_clock_that_is_not_met_are_said():
    chip = tvm_vsq.load_hardware("vsq-accel").with_(technology="open-45nm", precision_passes=2)
    fast = chip.with_(clock_mhz=5000, name="fast")
    found = compare(chip, fast)
    note = "clock_mhz=5000 is taken as it is; the RTL meets 501 MHz in open-45nm"
    assert found.clock_notes == {"fast": note}
    assert f"fast: {note}" in found.to_str()
    assert "4/4/4/4 in up to 2 passes" in found.to_str()


def test_equal_targets_are_equal_in_every_field():
    assert "the machines are equal in every field" in str(compare("vsq-accel", BASE))


def test_a_comparison_is_a_page(base, tmp_path):
    pytest.importorskip("plotly")
    slow = compiled(with_dram(bytes_per_cycle=2))
    found = compare({"fast": base, "slow": slow})
    found.to_html(tmp_path / "page.html", plotly="beside")
    text = html.unescape((tmp_path / "page.html").read_text())
    for sentence in found.reasons["slow"]:
        assert sentence in text
    assert f"{slow.timing().cycles:,} cycles ({change(base.timing().cycles, slow.timing().cycles)})" in text
    assert all(row.name in text for row in found.layers)
    assert "dram.bytes_per_cycle" in text
