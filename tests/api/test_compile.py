"""What `tvm_vsq.compile` makes: results, profile, explanation, disassembly."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import tvm
import yaml
from tests.seeds import one_of

import tvm_vsq
from tvm_vsq.frontend import import_model
from tvm_vsq.hardware import list_technologies, load_technology
from tvm_vsq.runtime import EnergyTables, compare_tables

COMBINATIONS = [
    ("ResNet", "vsq-accel"),
    ("ResNet", "vsq-accel-int8"),
    ("ClippedNet", "vsq-accel-w4a8"),
    ("ClippedNet", "vsq-accel-int8"),
    ("DepthwiseNet", "vsq-accel"),
    ("Mlp", "vsq-accel-w4a8"),
    ("PlainNet", "vsq-accel"),
]


def _pair(networks: Any, name: str, target: str = "vsq-accel", **options: Any) -> tuple[Any, Any]:
    network = getattr(networks, name)
    model, x = networks.build(network)
    exe = tvm_vsq.compile(
        model, target, example_inputs=(x,), calibration=networks.samples(network), **options
    )
    return exe, x


@pytest.fixture(scope="module")
def made(networks):
    """Compiled networks by (name, target), each made once, with an input."""
    cache: dict[tuple[str, str], Any] = {}

    def make(name: str, target: str = "vsq-accel") -> Any:
        if (name, target) not in cache:
            cache[name, target] = _pair(networks, name, target)
        return cache[name, target]

    return make


def _tuple(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


def _same(left: Any, right: Any) -> bool:
    left, right = _tuple(left), _tuple(right)
    return len(left) == len(right) and all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize(("name", "target"), one_of(COMBINATIONS))
def test_the_simulator_equals_the_cpu_reference_bit_for_bit(made, name, target):
    exe, x = made(name, target)
    assert _same(exe(x), exe.reference(x))
    assert _same(exe(x * 3), exe.reference(x * 3))  # beyond the calibrated range


@pytest.mark.parametrize(("name", "target"), [("ResNet", "vsq-accel-int8"), ("Mlp", "vsq-accel-w4a8")])
def test_results_are_close_to_the_fp32_network(networks, made, name, target):
    model, x = networks.build(getattr(networks, name))
    exe, _ = made(name, target)
    assert networks.sqnr_db(networks.run_torch(model, x)[0], exe(x.numpy())) > 15


def test_results_are_of_the_kind_of_the_arguments(made):
    exe, x = made("ClippedNet", "vsq-accel-int8")
    from_torch, from_numpy = exe(x), exe(x.numpy())
    assert [type(value) for value in from_torch] == [torch.Tensor, torch.Tensor]
    assert [type(value) for value in from_numpy] == [np.ndarray, np.ndarray]
    assert _same(from_torch, from_numpy)
    assert isinstance(exe.reference(x), tuple)


def test_layout_and_gradients_of_the_argument_do_not_matter(made):
    exe, x = made("PlainNet")
    expected = exe(x.numpy())
    assert _same(exe(np.asfortranarray(x.numpy())), expected)
    assert _same(exe(x.clone().requires_grad_()), expected)
    assert _same(exe(x.to(memory_format=torch.channels_last)), expected)


def test_module_exported_program_and_relax_give_the_same_executable(networks, made):
    model, x = networks.build(networks.PlainNet)
    calibration = networks.samples(networks.PlainNet)
    exe, _ = made("PlainNet")
    for form in (torch.export.export(model, (x,)), import_model(model, (x,))):
        other = tvm_vsq.compile(form, calibration=calibration)
        assert _same(other(x), exe(x))
        assert other.profile(x).cycles == exe.profile(x).cycles


def test_tvm_compile_on_a_quantized_model_gives_the_same_program(networks, made):
    model, x = networks.build(networks.PlainNet)
    quantized = tvm_vsq.quantize_model(
        model, example_inputs=(x,), calibration=networks.samples(networks.PlainNet)
    )
    other = tvm_vsq.Executable(tvm.compile(quantized, target="vsq-accel"))
    exe, _ = made("PlainNet")
    assert _same(other(x), exe(x))
    assert other.disassemble() == exe.disassemble()
    assert other.explain() == exe.explain()


def test_tvm_compile_with_a_target_of_its_own_runs_the_layers_on_the_cpu(networks, made):
    model, x = networks.build(networks.PlainNet)
    quantized = tvm_vsq.quantize_model(
        model, example_inputs=(x,), calibration=networks.samples(networks.PlainNet)
    )
    assert networks.run_tvm(quantized, x)[0].shape == made("PlainNet")[0](x).shape


def test_schedules_that_ship_are_used_unless_others_are_asked_for():
    """The first layer is one of ResNet-8's, for which every target ships a schedule."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(32, 32, 3, padding=1), torch.nn.Conv2d(32, 8, 1)).eval()
    x = torch.randn(1, 32, 14, 14)
    config = tvm_vsq.QuantConfig.parse("4/4/4/4").unfitted()
    options = {"example_inputs": (x,), "quant": config, "calibration": [x]}
    quantized = tvm_vsq.quantize_model(model, **options)
    with_tvm = tvm_vsq.Executable(tvm.compile(quantized, target="vsq-accel"))
    by_default, as_asked = (tvm_vsq.compile(model, **options, **more) for more in ({}, {"schedules": "auto"}))
    assert [exe.metadata.layers[0].tuned for exe in (by_default, as_asked, with_tvm)] == [True] * 3
    without = tvm_vsq.compile(model, **options, schedules="default")
    assert not any(layer.tuned for layer in without.metadata.layers)


def test_a_layer_used_twice_runs_twice(networks):
    class Shared(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(16, 16, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(torch.nn.functional.avg_pool2d(torch.relu(self.conv(x)), 3, 1, 1))

    torch.manual_seed(0)
    model, x = Shared().eval(), torch.randn(1, 16, 5, 5)
    exe = tvm_vsq.compile(model, example_inputs=(x,), calibration=[x])
    assert _same(exe(x), exe.reference(x))
    profile = exe.profile(x)
    assert [layer.name for layer in profile.layers] == ["conv", "avg_pool2d_0", "conv#2"]


def test_two_inputs_keep_their_order():
    class Two(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(4, 4, 1)

        def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
            return self.conv(first) - second

    torch.manual_seed(0)
    a, b = torch.randn(1, 4, 4, 4), torch.randn(1, 4, 4, 4)
    exe = tvm_vsq.compile(Two().eval(), example_inputs=(a, b), calibration=(a, b))
    assert [spec.name for spec in exe.metadata.inputs] == ["first", "second"]
    assert _same(exe(a, b), exe.reference(a, b))
    assert not _same(exe(a, b), exe(b, a))


def test_numbers_of_a_profiles_layers_add_up_to_its_totals(made):
    exe, x = made("ResNet", "vsq-accel")
    profile = exe.profile(x)
    assert [layer.name for layer in profile.layers] == [layer.name for layer in exe.metadata.layers]
    for total in ("cycles", "energy_pj", "dram_bytes", "macs"):
        found = getattr(profile, total)
        assert found == pytest.approx(sum(getattr(layer, total) for layer in profile.layers)) != 0
    for layer in profile.layers:
        assert layer.energy_pj == pytest.approx(sum(layer.energy.values()))
        assert min(layer.energy.values()) >= 0
    assert _same(profile.outputs, exe(x))
    assert exe.profile(x).to_dict() == profile.to_dict()


def test_narrower_formats_do_the_same_work_with_fewer_bytes_and_less_energy(made):
    four, eight = (made("ResNet", target) for target in ("vsq-accel", "vsq-accel-int8"))
    four, eight = (exe.profile(x) for exe, x in (four, eight))
    assert (four.notation, eight.notation) == ("4/4/4/4", "8/8/-/-")
    for narrow, wide in zip(four.layers, eight.layers, strict=True):
        assert (narrow.name, narrow.macs) == (wide.name, wide.macs)
        assert narrow.dram_bytes < wide.dram_bytes
        assert narrow.energy_pj < wide.energy_pj


def test_a_technology_is_a_file_and_nothing_else(made, networks, tmp_path):
    """By path: in a description, or for a profile, whose events cost something else without another run."""
    shipped = tvm_vsq.load_hardware("vsq-accel")
    table = load_technology(shipped.technology).model_dump(mode="json")
    table["name"], table["dram_access"]["pj"] = "mine", 2 * table["dram_access"]["pj"]
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(table), encoding="utf-8")
    before = made("PlainNet")[0].timing()
    after = before.with_technology(path)
    hardware = shipped.model_copy(update={"technology": str(path)})
    built = _pair(networks, "PlainNet", hardware)[0].timing()
    assert (after.layers, after.technology) == (built.layers, built.technology)
    for old, new in zip(before.layers, after.layers, strict=True):
        for event, pj in new.energy.items():
            assert pj == old.energy[event] * (2 if event.startswith("dram") else 1)
        assert new.energy_pj == sum(new.energy.values()) > old.energy_pj
        assert (new.events, new.cycles) == (old.events, old.cycles)
    assert after.with_technology(shipped.technology) == before
    with pytest.raises(tvm_vsq.errors.ConfigError, match="unknown technology 'yours'"):
        before.with_technology("yours")


def test_a_kind_of_dram_takes_the_place_of_the_technologys_own(made):
    profile = made("PlainNet")[0].timing()
    found, own = profile.with_technology("open-45nm", dram="hbm2"), profile.with_technology("open-45nm")
    assert found.technology.name == "open-45nm_hbm2"
    parts, before = found.energy_by_part(), own.energy_by_part()
    changed = {part for part in parts if parts[part] != before.get(part)}
    assert changed == {"DRAM", "DRAM idle", "DRAM refresh"}
    assert sum(parts.values()) == pytest.approx(found.energy_pj)
    assert profile.with_technology(profile.technology).energy_by_part() == profile.energy_by_part()


def test_a_profile_says_where_its_energy_goes_and_what_its_table_lacks(made):
    profile = made("PlainNet")[0].timing()
    text = " ".join(str(profile).split())
    assert "Components, by horowitz-45nm" in text
    assert "no energy in horowitz-45nm of leakage, clock, DRAM idle, DRAM refresh" in text
    assert "the table has no" not in " ".join(str(profile.with_technology("open-45nm")).split())
    assert profile.to_dict()["energy_by_part_pj"] == profile.energy_by_part()


def test_inferences_are_put_under_every_table(made):
    profile = made("PlainNet")[0].timing()
    found = compare_tables({"a": profile, "b": profile.with_technology("jouppi-7nm")})
    assert list(found.energy_pj) == list_technologies()
    assert found.intervals == {"a": (1.0, 1.0), "b": (1.0, 1.0)}  # a table does not depend on the one before
    assert found.energy_pj["open-45nm"]["a"] == profile.with_technology("open-45nm").energy_pj
    assert "the order is the same in all" in " ".join(str(found).split())
    with pytest.raises(tvm_vsq.errors.InputError, match="at least one profile"):
        compare_tables({})
    with pytest.raises(tvm_vsq.errors.InputError, match="at least one technology"):
        compare_tables({"a": profile}, [])
    for wrong in ([profile], profile, {"a": 1}, {1: profile}):
        with pytest.raises(tvm_vsq.errors.InputError, match="profiles by names to show"):
            compare_tables(wrong)
    table = load_technology("open-45nm")
    with pytest.raises(tvm_vsq.errors.InputError, match="open-45nm is there 2 times; rename one"):
        compare_tables({"a": profile}, [table, "open-45nm"])


def test_an_artifact_whose_table_is_out_of_reach_takes_another_one(tmp_path):
    table = tmp_path / "mine.yaml"
    table.write_text(yaml.safe_dump(load_technology("open-45nm").model_dump(mode="json", exclude_none=True)))
    hardware = tvm_vsq.load_hardware("vsq-accel").model_copy(update={"technology": str(table)})
    model, x = torch.nn.Conv2d(3, 4, 1).eval(), torch.randn(4, 3, 4, 4)
    tvm_vsq.compile(model, hardware, example_inputs=x[:1], calibration=x).save(tmp_path / "net.so")
    table.unlink()
    exe = tvm_vsq.load(tmp_path / "net.so")
    with pytest.raises(tvm_vsq.errors.ConfigError, match="unknown technology"):
        exe.timing()
    assert exe.timing("open-45nm").technology.name == "open-45nm"
    assert exe.profile(x[:1], technology="jouppi-7nm").energy_pj > 0


def test_names_are_no_markup():
    torch.manual_seed(0)
    layers = {"[b]x[/b]": torch.nn.Conv2d(3, 4, 1), "[/y]": torch.nn.Conv2d(4, 4, 1)}
    model = torch.nn.Sequential(OrderedDict(layers)).eval()
    x = torch.randn(16, 3, 4, 4)
    exe = tvm_vsq.compile(model, "vsq-accel", example_inputs=x[:1], calibration=x)
    profile = exe.timing()
    texts = (exe.explain(), profile, profile.why(), compare_tables({"[/a]": profile, "b": profile}))
    assert all("[/" in str(text) for text in texts)


def test_a_profile_of_nothing_on_the_accelerator_has_no_energy_to_compare(made):
    idle = replace(made("PlainNet")[0].timing(), layers=())
    assert "no energy, as nothing runs on the accelerator" in " ".join(str(idle).split())
    with pytest.raises(tvm_vsq.errors.InputError, match="'idle' takes no energy"):
        compare_tables({"idle": idle})


def test_an_order_that_depends_on_the_table_is_said_to():
    found = EnergyTables({"dear": {"a": 2.0, "b": 1.0}, "cheap": {"a": 1.0, "b": 3.0}})
    assert not found.same_order
    assert found.intervals["b"] == (0.5, 3.0)
    assert "the order is NOT the same in all" in " ".join(str(found).split())


def test_a_profile_prints_a_row_for_every_layer(made):
    exe, x = made("PlainNet")
    profile = exe.profile(x)
    text = profile.to_str(wide=True)
    assert f"vsq-accel 4/4/4/4: {profile.cycles:,} cycles" in text
    for layer in profile.layers:
        row = next(line for line in text.splitlines() if f" {layer.name} " in line)
        for figure in (layer.macs, layer.cycles, layer.dram_bytes, layer.instructions):
            assert f" {figure:,} " in row


def test_an_executable_explains_its_layers_in_their_order_and_prints_the_reasons(made):
    """What the reasons say: tests/transform/test_explain.py."""
    exe, _ = made("ResNet", "vsq-accel")
    rows = exe.explain()
    layers = [row for row in rows if row.where == "accelerator"]
    assert [row.layer for row in layers] == [layer.name for layer in exe.metadata.layers]
    text = " ".join(rows.to_str(wide=True).replace("│", " ").split())
    assert all(row.layer in text and row.why.split(", ")[0] in text for row in layers)


def test_disassembly_lists_every_instruction_with_its_layer(made):
    exe, x = made("ResNet", "vsq-accel")
    lines = exe.disassemble().splitlines()
    headers = [line for line in lines if line.startswith("# program")]
    instructions = [line for line in lines if not line.startswith("#")]
    assert sum(int(line.split()[-2]) for line in headers) == len(instructions)
    assert sum(layer.instructions for layer in exe.profile(x).layers) == len(instructions)
    layers = {layer.name for layer in exe.metadata.layers}
    assert {line.rsplit(" ", 1)[1] for line in instructions} == layers
    assert sum(line.startswith("FINISH") for line in instructions) == len(headers)
