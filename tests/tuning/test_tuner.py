"""`tvm_vsq.tune`: what is measured, what is recorded, and what `compile` makes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tvm_vsq
from tvm_vsq.codegen import Layer, PostOp
from tvm_vsq.errors import ConfigError, ScheduleError
from tvm_vsq.hardware import load_hardware
from tvm_vsq.schedule import Convolution, Database, Knobs, default_knobs
from tvm_vsq.schedule.database import fingerprint
from tvm_vsq.schedule.footprint import fits
from tvm_vsq.schedule.tiling import check_knobs
from tvm_vsq.tuning import Cost, measure, tuner

TRIALS = 12


@pytest.fixture(scope="module")
def tuned(networks, tmp_path_factory):
    """(database, its file, every (workload, knobs, hardware) that was measured)."""
    measured: list[Any] = []

    def spy(workload: Any, knobs: Knobs, hardware: Any, post: PostOp) -> int:
        measured.append((workload, knobs, hardware))
        return measure(workload, knobs, hardware, post)

    model, x = networks.build(networks.PlainNet)
    file = tmp_path_factory.mktemp("tuned") / "plain.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuner, "measure", spy)
        database = tvm_vsq.tune(model, trials=TRIALS, example_inputs=(x,), database=file, progress=False)
    return database, file, measured


@pytest.fixture(scope="module")
def compiled(networks):
    """Compile PlainNet with the schedules given."""
    model, x = networks.build(networks.PlainNet)
    samples = networks.samples(networks.PlainNet)

    def make(schedules: Any, target: Any = "vsq-accel") -> Any:
        return tvm_vsq.compile(model, target, example_inputs=(x,), calibration=samples, schedules=schedules)

    return make


@pytest.mark.large
def test_layers_in_other_formats_are_other_layers(networks, tmp_path):
    model, x = networks.build(networks.PlainNet)
    hardware = load_hardware("vsq-accel").model_copy(update={"precision_passes": 2})
    quant = tvm_vsq.QuantConfig.parse("8/8/-/-").unfitted()
    given = {"example_inputs": (x,), "quant": quant}
    database = tvm_vsq.tune(model, hardware, trials=2, progress=False, **given)
    settings = {"calibration": networks.samples(networks.PlainNet), "schedules": database, **given}
    exe = tvm_vsq.compile(model, hardware, **settings)
    assert all(layer.tuned for layer in exe.timing().layers)
    with pytest.warns(tvm_vsq.errors.VsqWarning, match="they are for other layers"):
        tvm_vsq.compile(model, hardware, **{**settings, "quant": None})
    quantized = tvm_vsq.quantize_model(model, hardware, **given, calibration=settings["calibration"])
    with pytest.raises(ConfigError, match=r"quantized already .* quant= would have no effect"):
        tvm_vsq.tune(quantized, hardware, quant=quant)


@pytest.mark.large
def test_there_is_one_record_a_layer(tuned):
    database, _, _ = tuned
    assert len(database.records) == 3
    for record in database.records:
        assert record.cycles > 0
        assert record.default_cycles > 0
        assert 1 <= record.trials <= TRIALS
        assert record.hardware == fingerprint(load_hardware("vsq-accel"))


def test_every_measured_candidate_is_legal_and_measured_once(tuned):
    _, _, measured = tuned
    assert len(measured) == len({(workload.key, knobs) for workload, knobs, _ in measured})
    for workload, knobs, hardware in measured:
        assert fits(workload, knobs, hardware)
        check_knobs(workload, knobs, hardware, "layer")


def test_what_is_recorded_was_measured(tuned):
    database, _, measured = tuned
    for record in database.records:
        cycles = {
            knobs: measure(workload, knobs, hardware)
            for workload, knobs, hardware in measured
            if workload.key == record.workload
        }
        assert len(cycles) == record.trials
        assert record.cycles == cycles[Knobs.from_dict(record.knobs)]
        default = next(default_knobs(w, hw, "") for w, _, hw in measured if w.key == record.workload)
        assert record.default_cycles == cycles[default]


@pytest.mark.parametrize(
    ("gain", "energy", "is_taken"),
    [(-0.2, 1, False), (0.0, 1, False), (0.0005, 1, False), (0.002, 1, True), (0.002, 1.1, False)],
)
def test_a_schedule_is_taken_if_the_model_gains_a_thousandth_of_the_layer(gain, energy, is_taken):
    """However fast it is by itself: `total` is the model's, which gains with any but the default schedule.

    Not if that costs more energy than it saves time.
    """
    hardware, workload = load_hardware("vsq-accel"), Convolution(1, 8, 8, 2, 4, 3, 3)
    default = default_knobs(workload, hardware, "conv")
    alone = measure(workload, default, hardware)

    def total(database: Database) -> Cost:
        is_default = database.lookup(workload, hardware) in (None, default)
        return Cost(1_000_000, 1.0) if is_default else Cost(1_000_000 - round(gain * alone), energy)

    layer = Layer("conv", "conv2d", workload, PostOp(), (32, 64), constants={}, inputs={}, result="y")
    told = []
    tuned = tuner.tune_layers(
        [layer],
        hardware,
        Database(),
        total=total,
        trials=8,
        seed=0,
        report=told.append,
        keep=lambda *_: None,
    )
    assert (tuned.lookup(workload, hardware) != default) == is_taken
    (record,), (said,) = tuned.records, told
    assert (said.layers, said.default_cycles, said.cycles) == (("conv",), alone, record.cycles)
    assert (said.cycles != alone) == is_taken
    assert said.model_default_cycles == 1_000_000
    assert said.model_cycles == 1_000_000 - is_taken * round(gain * alone)


@pytest.mark.parametrize(("trials", "finalists"), [(2, 1), (8, 2), (60, 12)])
def test_few_trials_nominate_few_schedules(trials, finalists):
    hardware, workload = load_hardware("vsq-accel"), Convolution(1, 8, 8, 2, 4, 3, 3)
    default, *others = tuner.search_workload(workload, hardware, layer="conv", trials=trials, seed=0)
    assert Knobs.from_dict(default.knobs) == default_knobs(workload, hardware, "conv")
    assert len(others) == finalists
    assert [record.cycles for record in others] == sorted(record.cycles for record in others)


@pytest.mark.large
@pytest.mark.parametrize("network", ["PlainNet", "ResNet"])
def test_the_whole_model_is_never_slower_than_with_default_schedules(networks, network):
    model, x = networks.build(getattr(networks, network))
    database = tvm_vsq.tune(model, trials=20, example_inputs=(x,), progress=False)
    cycles = [
        tvm_vsq.compile(model, example_inputs=(x,), calibration=x, schedules=schedules).profile(x).cycles
        for schedules in ("default", database)
    ]
    assert cycles[1] <= cycles[0]


def test_the_search_depends_on_its_seed_alone(networks, tuned):
    model, x = networks.build(networks.PlainNet)
    again = tvm_vsq.tune(model, trials=TRIALS, example_inputs=(x,), progress=False)
    assert again == tuned[0]


def test_the_file_holds_the_database_and_is_extended(networks, tuned, tmp_path):
    database, file, _ = tuned
    assert Database.load(file) == database
    copy = tmp_path / "plain.json"
    copy.write_bytes(file.read_bytes())
    model, x = networks.build(networks.Mlp)
    extended = tvm_vsq.tune(model, trials=2, example_inputs=(x,), database=copy, progress=False)
    assert Database.load(copy) == extended
    assert all(record in extended.records for record in database.records)
    assert len(extended.records) > len(database.records)


def test_compile_uses_the_records_and_results_stay_the_same(compiled, networks, tuned):
    database, file, _ = tuned
    _, x = networks.build(networks.PlainNet)
    default, from_file = compiled("default"), compiled(file)
    assert not any(layer.tuned for layer in default.profile(x).layers)
    assert all(layer.tuned for layer in from_file.profile(x).layers)
    recorded = {record.workload: record.knobs for record in database.records}
    assert sorted(map(str, recorded.values())) == sorted(str(x.knobs) for x in from_file.metadata.layers)
    assert np.array_equal(from_file(x), default(x))
    assert np.array_equal(from_file(x), from_file.reference(x))


@pytest.mark.parametrize(
    ("network", "target", "why"),
    [("PlainNet", "vsq-accel-int8", "other accelerators"), ("Mlp", "vsq-accel", "other layers")],
)
def test_records_of_which_none_is_used_are_warned_of(networks, tuned, network, target, why):
    database, _, _ = tuned
    model, x = networks.build(getattr(networks, network))
    with pytest.warns(tvm_vsq.VsqWarning, match=f"none of the {len(database.records)} .*{why}") as caught:
        tvm_vsq.compile(model, target, example_inputs=(x,), calibration=[x] * 16, schedules=database)
    assert __file__ in {warning.filename for warning in caught}


@pytest.mark.large
def test_a_tuned_layer_takes_the_recorded_cycles_when_it_is_the_whole_program():
    import torch

    torch.manual_seed(0)
    model, x = torch.nn.Sequential(torch.nn.Conv2d(16, 16, 3, padding=1)), torch.randn(1, 16, 12, 12)
    database = tvm_vsq.tune(model, trials=TRIALS, example_inputs=(x,), progress=False)
    exe = tvm_vsq.compile(model, example_inputs=(x,), calibration=[x], schedules=database)
    (layer,) = exe.profile(x).layers
    assert layer.tuned
    assert layer.cycles == database.records[0].cycles


def test_an_interrupted_search_keeps_what_it_found_and_the_next_goes_on(
    networks, tuned, tmp_path, monkeypatch
):
    model, x = networks.build(networks.PlainNet)
    file = tmp_path / "plain.json"
    seen: list[str] = []

    def interrupted(workload: Any, knobs: Knobs, hardware: Any, post: PostOp) -> int:
        if workload.key not in seen:
            if len(seen) == 2:
                raise KeyboardInterrupt
            seen.append(workload.key)
        return measure(workload, knobs, hardware, post)

    def go_on() -> Database:
        return tvm_vsq.tune(model, trials=TRIALS, example_inputs=(x,), database=file, progress=False)

    monkeypatch.setattr(tuner, "measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        go_on()
    assert {record.workload for record in Database.load(file).records} == set(seen)
    searched: list[str] = []

    def spy(workload: Any, knobs: Knobs, hardware: Any, post: PostOp) -> int:
        searched.append(workload.key)
        return measure(workload, knobs, hardware, post)

    monkeypatch.setattr(tuner, "measure", spy)
    assert go_on() == tuned[0]
    assert len(set(searched)) == 1
    assert not set(searched) & set(seen)


def test_records_of_default_schedules_are_not_searched_for_again(networks, monkeypatch):
    """They cost what no records do: neither better nor worse."""
    model, x = networks.build(networks.PlainNet)
    first = tvm_vsq.tune(model, trials=1, example_inputs=(x,), progress=False)
    monkeypatch.setattr(tuner, "search_workload", None)
    assert tvm_vsq.tune(model, trials=1, example_inputs=(x,), database=first, progress=False) == first


def test_a_file_that_cannot_be_written_is_refused_before_the_search(networks, tmp_path, monkeypatch):
    monkeypatch.setattr(tuner, "measure", lambda *_: pytest.fail("searched"))
    for file, message in ((tmp_path / "nope" / "d.json", "folder .* does not exist"), (tmp_path, "a folder")):
        with pytest.raises(ScheduleError, match=message):
            tvm_vsq.tune(None, database=file)


@pytest.mark.parametrize("seed", [-1, 1.5, 1 << 31, None, True])
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises(ConfigError, match="seed="):
        tvm_vsq.tune(None, seed=seed)
