"""What `tvm_vsq.compile` makes: results, profile, explanation, disassembly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import tvm

import tvm_vsq
from tvm_vsq.frontend import import_model
from tvm_vsq.runtime.profile import ENGINES

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


@pytest.mark.parametrize(("name", "target"), COMBINATIONS)
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
            return self.conv(torch.nn.functional.max_pool2d(torch.relu(self.conv(x)), 3, 1, 1))

    torch.manual_seed(0)
    model, x = Shared().eval(), torch.randn(1, 16, 5, 5)
    exe = tvm_vsq.compile(model, example_inputs=(x,), calibration=[x])
    assert _same(exe(x), exe.reference(x))
    profile = exe.profile(x)
    assert len(profile.layers) == len({layer.name for layer in profile.layers}) == 2


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


class TestProfile:
    def test_layer_numbers_add_up_to_the_totals(self, made):
        exe, x = made("ResNet", "vsq-accel")
        profile = exe.profile(x)
        assert profile.cycles == sum(layer.cycles for layer in profile.layers) > 0
        assert profile.energy_pj == pytest.approx(sum(layer.energy_pj for layer in profile.layers))
        assert profile.dram_bytes == sum(layer.dram_bytes for layer in profile.layers)
        for layer in profile.layers:
            assert layer.energy_pj > 0
            assert layer.energy_pj == pytest.approx(sum(layer.energy.values()))
            assert 0 < layer.utilization <= 1
        assert _same(profile.outputs, exe(x))

    def test_no_engine_is_occupied_for_longer_than_the_inference(self, made):
        exe, x = made("ResNet", "vsq-accel")
        profile = exe.profile(x)
        assert set(profile.engine_busy) == set(profile.engine_stalled) == set(ENGINES)
        for engine in ENGINES:
            assert profile.engine_busy[engine] > 0
            assert profile.engine_busy[engine] + profile.engine_stalled[engine] <= profile.cycles

    def test_useful_macs_are_those_of_the_network(self, made):
        exe, x = made("PlainNet")
        convolutions = {"a": 36 * 16 * 16 * 9, "b": 36 * 16 * 16 * 9, "c": 36 * 16 * 8}
        profile = exe.profile(x)
        assert {layer.name: layer.macs for layer in profile.layers} == convolutions
        assert profile.macs == sum(convolutions.values())
        assert all(layer.padded_macs >= layer.macs for layer in profile.layers)

    def test_formats_differ_in_cycles_and_energy(self, made):
        four, eight = (made("ResNet", target) for target in ("vsq-accel", "vsq-accel-int8"))
        four, eight = (exe.profile(x) for exe, x in (four, eight))
        assert (four.notation, eight.notation) == ("4/4/4/4", "8/8/-/-")
        assert four.macs == eight.macs
        assert four.cycles != eight.cycles
        assert four.energy_pj < eight.energy_pj

    def test_two_profiles_of_one_inference_are_equal(self, made):
        exe, x = made("PlainNet")
        exe(x)
        assert exe.profile(x).to_dict() == exe.profile(x).to_dict()

    def test_prints_every_layer_and_writes_a_page(self, made, tmp_path):
        exe, x = made("PlainNet")
        profile = exe.profile(x)
        profile.to_html(tmp_path / "profile.html")
        assert "<html>" in (tmp_path / "profile.html").read_text(encoding="utf-8")
        assert "4/4/4/4" in str(profile)


class TestExplain:
    def test_names_every_layer_and_says_why(self, made):
        exe, _ = made("ResNet", "vsq-accel")
        rows = exe.explain()
        layers = [row.layer for row in rows if row.where == "accelerator"]
        assert layers == [layer.name for layer in exe.metadata.layers]
        assert {"conv1", "layer2.downsample.0", "fc"} <= set(layers)
        assert all(row.why for row in rows)
        assert {row.op for row in rows if row.where == "accelerator"} == {"vsq.conv2d", "vsq.dense"}
        assert all(row.layer in str(rows) for row in rows if len(row.layer) < 12)

    def test_depthwise_convolution_falls_back_with_its_reason(self, made):
        exe, _ = made("DepthwiseNet", "vsq-accel")
        (row,) = [row for row in exe.explain() if row.layer == "depthwise"]
        assert (row.op, row.where) == ("relax.nn.conv2d", "cpu")
        assert "groups=12" in row.why

    def test_fused_activations_and_residuals_are_no_operators_of_their_own(self, made):
        exe, _ = made("PlainNet")
        operators = {row.op for row in exe.explain()}
        assert not {"relax.nn.relu", "relax.add"} & operators
        assert "adds a residual" in next(row.why for row in exe.explain() if row.layer == "b")


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
