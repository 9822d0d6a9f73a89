"""What results print: it fits 80 and 120 columns, and `repr` is one line."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

import tvm_vsq
from tvm_vsq.hardware.events import EVENTS
from tvm_vsq.hardware.timed import TIMED
from tvm_vsq.isa import ENGINE_OF, LOAD_MEMORIES, STORE_MEMORIES
from tvm_vsq.runtime import EnergyTables, causes, compare_tables, native
from tvm_vsq.runtime.not_counted import NotCounted
from tvm_vsq.runtime.steps import STEPS
from tvm_vsq.schedule.database import Database, Record
from tvm_vsq.study.precision import MixedPrecision
from tvm_vsq.study.report import LayerReport, OperandReport, QuantReport
from tvm_vsq.study.sensitivity import Sensitivity

KNOBS = {"tile_h": 1, "tile_w": 7, "tile_k": 4, "tile_c": 2, "order": "k_outer", "double_buffer": True}
LONG = "a_module_with_a_long_name_as_transformers_have_them"


class Net(nn.Module):
    """Two layers, the first with a name that fills half a terminal; the second moves the most weights."""

    def __init__(self):
        super().__init__()
        self.add_module(LONG, nn.Linear(9, 200))
        self.last = nn.Linear(200, 190)

    def forward(self, x):
        return torch.softmax(self.last(torch.relu(getattr(self, LONG)(x))), -1)


def compiled(hardware):
    torch.manual_seed(0)
    samples = torch.randn(8, 3, 9)
    quant = tvm_vsq.QuantConfig.of_hardware(hardware).unfitted()
    quant = quant.model_copy(update={"rules": (tvm_vsq.Rule(layers="softmax*", fp32=True),)})
    return tvm_vsq.compile(Net(), hardware, example_inputs=samples[:1], calibration=samples, quant=quant)


@pytest.fixture(scope="module")
def exe():
    return compiled(tvm_vsq.load_hardware("vsq-accel"))


@pytest.fixture(scope="module")
def results(exe):
    operand = OperandReport(sqnr_db=20.0, bits_per_element=4.5, clipped=0.01, codes=[1, 2, 3], lowest_code=-1)
    layers = tuple(
        LayerReport(
            name=name,
            formats="4/4/4/4",
            vector_size=16,
            padding=0.5,
            weights=operand,
            activations=operand,
            output_sqnr_db=18.0,
        )
        for name in (LONG, "last")
    )
    formats = ("3/3/4/4", "4/4/4/4", "8/8/-/-", "6/6/-/-")
    noises = ((0.1, 0.01, 0.001, 0.002), (0.2, 0.02, 0.002, 0.003))
    sensitivity = Sensitivity((LONG, "last"), formats, noises, noises[0])
    energy = {name: dict.fromkeys(formats, 1e7) for name in (LONG, "last")}
    chosen = {LONG: "8/8/-/-", "last": "4/4/4/4"}
    rules = (tvm_vsq.Rule(layers=LONG, formats="8/8/-/-"), tvm_vsq.Rule(layers="last", fp32=True))
    config = tvm_vsq.QuantConfig.parse("4/4/4/4", rules=rules, channel_order="model")
    record = Record(
        workload="w " * 60, hardware="0" * 16, knobs=KNOBS, cycles=900, default_cycles=1000, trials=8
    )
    profile = exe.timing()
    return [
        exe,
        exe.explain(),
        profile,
        profile.why(),
        compare_tables({"first": profile, "second": profile}),
        QuantReport(layers=layers, fp32={LONG: "a rule says so"}, output_sqnr_db=17.0, samples=8),
        sensitivity,
        exe.hardware,
        config,
        Database(records=(record,)),
        MixedPrecision(config, chosen, 20.0, 21.0, 0.5, energy, NotCounted((), 0), sensitivity),
    ]


@pytest.mark.parametrize("width", [80, 120])
def test_everything_fits(results, width):
    for result in results:
        lines = result.to_str(width=width).splitlines()
        assert max(map(len, lines)) <= width, type(result)


def test_wide_has_whole_names_and_leaves_nothing_out(results):
    for result in results:
        text = result.to_str(wide=True)
        assert "shows also" not in text
        others = tvm_vsq.Executable | EnergyTables | tvm_vsq.HardwareConfig | Database
        has_layers = not isinstance(result, others)
        assert (LONG in text) == has_layers


def test_repr_is_one_line_that_says_what_it_is(results):
    for result in results:
        text = repr(result)
        assert text.startswith(f"<{type(result).__name__}: ")
        assert "\n" not in text
        assert re.search(r"\d", text)


def test_an_executable_says_what_it_is(exe):
    text = " ".join(str(exe).split())
    assert "target: vsq-accel 4/4/4/4, vectors of 16, 256 MACs a cycle at 500 MHz" in text
    assert "inputs: x float32[1, 3, 9]" in text
    assert "results: float32[1, 3, 190]" in text
    assert "On the accelerator: 2 layers with 100.0% of the multiply-accumulates" in text
    assert "schedules: 0 of 2 tuned" in text


def test_components_have_energy_and_area_with_shares_that_add_up(exe):
    profile = exe.timing("open-45nm")
    text = profile.to_str(width=80)
    energy, area = profile.energy_by_part(), profile.hardware.area("open-45nm")
    rows = {
        cells[0].strip(): [cell.strip() for cell in cells[1:]]
        for line in text.splitlines()
        if line.count("│") == 6
        and (cells := line.split("│")[1:-1])[0].strip() in {*energy, *area.by_group(), "all"}
    }
    assert rows["all"] == [f"{profile.energy_pj:,.0f}", "100.0%", f"{area.mm2:.4f}", "100.0%"]
    for part, pj in energy.items():
        assert rows[part][:2] == [f"{pj:,.0f}", f"{pj / profile.energy_pj:.1%}"]
    for group, mm2 in area.by_group().items():
        assert rows[group][2:] == [f"{mm2:.4f}", f"{mm2 / area.mm2:.1%}"]
    assert "no areas" not in text


def test_a_technology_without_areas_says_so(exe):
    table = exe.timing("open-45nm").technology.model_copy(update={"logic": None, "name": "bare"})
    text = str(exe.timing(table))
    assert "area mm2" not in text
    assert "no areas: technology bare has no areas; give it" in text
    assert "no energy in bare of leakage, clock: the table has no numbers" in " ".join(text.split())


def with_dram(**changes):
    hardware = tvm_vsq.load_hardware("vsq-accel")
    return hardware.model_copy(update={"dram": hardware.dram.model_copy(update=changes)})


def test_causes_are_the_critical_path(exe):
    profile = exe.timing()
    found = profile.why().causes
    assert sum(cause.cycles for cause in found) == profile.cycles
    assert sum(cause.share for cause in found) == pytest.approx(1)
    assert all(sum(cause.layers.values()) == cause.cycles for cause in found)
    assert [cause.cycles for cause in found] == sorted((c.cycles for c in found), reverse=True)


def test_the_largest_cause_comes_first_with_what_to_do_about_it():
    slow = compiled(with_dram(bytes_per_cycle=1)).timing()
    first = slow.why().causes[0]
    assert (first.step, first.data) == ("DRAM transfer", "weights")
    assert next(iter(first.layers)) == "last"
    assert first.share > 0.5
    assert "More dram.bytes_per_cycle (1)" in first.remedy
    text = slow.why().to_str(width=80)
    assert f"1. {first.share:.0%} of cycles ({first.cycles:,}): DRAM moves weights" in text
    assert text.index("1. ") < text.index("2. ") < text.index("3. ") < text.index("Layer by layer")
    faster = compiled(with_dram(bytes_per_cycle=2)).timing()
    (same,) = (c for c in faster.why().causes if (c.step, c.data) == (first.step, first.data))
    assert same.cycles < 0.6 * first.cycles


def test_another_machine_has_another_cause():
    late = compiled(with_dram(latency_cycles=2000)).timing().why().causes[0]
    assert late.step == "DRAM latency"
    assert "dram.latency_cycles (2000)" in late.remedy


FREE = {
    "dram": {"latency_cycles": 0, "row_miss_cycles": 0},
    "timing": {
        "fetch_cycles": 1,
        "dma_setup_cycles": 0,
        "gemm_pipeline_cycles": 0,
        "vector_pipeline_cycles": 0,
        "row_pipeline_cycles": 0,
        "ppu_pipeline_cycles": 0,
    },
}


@pytest.mark.parametrize("changes", [{"dram.latency_cycles": 0}, FREE], ids=["no_latency", "nothing_fixed"])
def test_a_machine_without_fixed_costs_has_causes_too(changes):
    profile = compiled(tvm_vsq.load_hardware("vsq-accel").with_(**changes)).timing()
    found = profile.why().causes
    assert sum(cause.cycles for cause in found) == profile.cycles
    (end,) = (cause for cause in found if cause.step == "store")
    assert "a program ends" in str(end)


def test_every_kind_of_step_is_in_words():
    """What transfers has steps of DRAM; every other instruction has the step of its engine."""
    engines = {ENGINE_OF[name] for name in ENGINE_OF.keys() - {"LOAD", "STORE"}}
    assert STEPS.keys() == set(native.timing_names()["steps"]) | engines
    hardware = tvm_vsq.load_hardware("vsq-accel")
    for step in STEPS.values():
        assert "{" not in step.happens.format(data="weights") + step.remedy.format(hardware=hardware)
        assert {need.field for need in step.needs} <= {*TIMED, "macs_per_cycle"}
        assert {need.event for need in step.needs} <= {*EVENTS, ""}


def test_every_memory_that_is_moved_is_in_words():
    assert causes._HELD.keys() == {*LOAD_MEMORIES, *STORE_MEMORIES}


def test_work_on_padding_is_a_cause_of_its_own(exe):
    profile = exe.timing()
    (padding,) = (c for c in profile.why().causes if c.data == "padding")
    (useful,) = (c for c in profile.why().causes if (c.step, c.data) == ("compute", ""))
    assert padding.cycles + useful.cycles == sum(row.critical.get("compute", 0) for row in profile.why())
    for layer, row in zip(profile.layers, profile.why(), strict=True):
        assert padding.layers[layer.name] == pytest.approx(row.critical["compute"] * layer.padding, abs=1)


def test_descriptions_say_what_they_describe(results):
    hardware, config, database = results[7:10]
    assert repr(hardware) == (
        "<HardwareConfig: vsq-accel 4/4/4/4: vectors of 16, 256 MACs a cycle at 500 MHz, 256 KiB of "
        "scratchpads, DRAM of 16 bytes a cycle>"
    )
    assert re.search(r"│ wgt +│ .*│ +128 │ +1 │ +963 │ +1,088 │", hardware.to_str(wide=True))
    assert "latency_cycles 82" in str(hardware)
    assert repr(config) == "<QuantConfig: 4/4/4/4 in vectors of 16, channel_order='model', 2 rules>"
    assert re.search(rf"│ {LONG} +│ 8/8/-/- ", config.to_str(wide=True))
    assert re.search(r"│ last +│ fp32 ", config.to_str(wide=True))
    assert "1 schedules for 1 accelerators, 1,000 -> 900 cycles" in repr(database)
    assert re.search(r"│ +1,000 │ +900 │ -10.0% │ +8 │", database.to_str(wide=True))


def test_a_fake_quantized_module_shows_its_formats_and_parameters():
    samples = torch.randn(8, 3, 9)
    quant = tvm_vsq.QuantConfig.parse("4/4/4/4").unfitted()
    text = repr(tvm_vsq.fake_quantize(Net(), quant=quant, example_inputs=samples[:1], calibration=samples))
    assert "vsq-accel 4/4/4/4, 2 layers with weights, inputs x[1, 3, 9]" in text
    assert "(last): _Parameters(weight[190, 200], bias[190])" in text
