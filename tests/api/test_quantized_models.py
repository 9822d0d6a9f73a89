"""A model that is quantized already is compiled as it is, and nothing quantizes it a second time."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import tvm
import yaml
from tests.seeds import one_of
from torch import nn
from typer.testing import CliRunner

import tvm_vsq
from tvm_vsq.cli import app
from tvm_vsq.errors import ConfigError, ModelError, ProgramError


@pytest.fixture(scope="module")
def plain(networks):
    """PlainNet, whose results have the same bits in torch and on the accelerator, with its data."""
    model, x = networks.build(networks.PlainNet)
    options = {"example_inputs": (x,), "calibration": networks.samples(networks.PlainNet)}
    return model, x, options


@pytest.fixture(scope="module")
def quantized(plain):
    """PlainNet at 4/4/4/4 in torch."""
    model, _, options = plain
    return tvm_vsq.fake_quantize(model, **options)


def same(left, right):
    return np.array_equal(np.asarray(left.detach()), np.asarray(right.detach()))


def from_file(tmp_path, **fields):
    """A target file like vsq-accel's, with other fields."""
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**tvm_vsq.load_hardware("vsq-accel").model_dump(), **fields}))
    return tvm_vsq.load_hardware(path)


def make_target(kind, tmp_path):
    if kind == "file":
        return from_file(tmp_path, name="mine", output_lanes=8, multiplier_bits=12, guard_bits=2)
    shipped, _, formats = kind.partition(" ")
    hardware = tvm_vsq.load_hardware(shipped)
    return hardware.with_formats(formats, vector_size=32) if formats else hardware


TARGETS = ["vsq-accel-w4a8", "vsq-accel-int8 3/5/4/6", "file"]


@pytest.mark.parametrize("kind", one_of(TARGETS))
def test_every_form_of_it_compiles_to_the_bits_of_the_torch_module(plain, kind, tmp_path):
    model, x, options = *plain[:2], dict(plain[2])
    hardware = make_target(kind, tmp_path)
    options |= {"quant": tvm_vsq.QuantConfig.of_hardware(hardware).unfitted()}
    module = tvm_vsq.fake_quantize(model, target=hardware, **options)
    assert module.hardware == hardware
    expected = module(x)
    for form in (module, module.to_relax(), tvm_vsq.quantize_model(model, hardware, **options)):
        assert same(tvm_vsq.compile(form, hardware)(x), expected)
    built = tvm.compile(module.to_relax(), target=hardware.tvm_target())
    assert same(tvm_vsq.Executable(built)(x), expected)
    assert tvm_vsq.Executable(built).hardware == hardware


def test_a_trained_module_compiles_and_comes_back_from_its_file(plain, tmp_path):
    model, x, options = plain
    config = tvm_vsq.QuantConfig.parse("3/5/4/6").unfitted()
    module = tvm_vsq.fake_quantize(model, quant=config, **options)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.05)
    for _ in range(3):
        optimizer.zero_grad()
        module.train()(x).square().mean().backward()
        optimizer.step()
    exe = tvm_vsq.compile(module, module.hardware)
    assert exe.timing().cycles > 0
    assert same(exe.reference(x), module.eval()(x))
    exe.save(tmp_path / "net.so")
    assert same(tvm_vsq.load(tmp_path / "net.so")(x), module.eval()(x))


def test_the_command_line_takes_it_as_json(plain, quantized, tmp_path):
    _, x, _ = plain
    path = tmp_path / "net.json"
    path.write_text(tvm.ir.save_json(quantized.to_relax()))
    result = CliRunner().invoke(app, ["compile", str(path), "-o", str(tmp_path / "net.so"), "--json"])
    assert json.loads(result.stdout)["layers"] == 3
    assert same(tvm_vsq.load(tmp_path / "net.so")(x), quantized(x))


@pytest.mark.parametrize("unread", [["quant"], ["calibration"], ["example_inputs", "quant"]])
def test_arguments_that_would_have_no_effect_are_refused(plain, quantized, unread):
    _, x, _ = plain
    arguments = {name: "4/4/4/4" if name == "quant" else x for name in unread}
    for form in (quantized, quantized.to_relax()):
        with pytest.raises(ConfigError, match=f"so {', '.join(f'{name}=' for name in unread)} would have no"):
            tvm_vsq.compile(form, **arguments)


QUANTIZERS = {
    "fake_quantize": tvm_vsq.fake_quantize,
    "quantize_model": tvm_vsq.quantize_model,
    "quantization_report": tvm_vsq.quantization_report,
    "profile_formats": lambda model, **options: tvm_vsq.profile_formats(
        model, formats=("4/4/4/4", "8/8/-/-"), **options
    ),
    "choose_formats": lambda model, **options: tvm_vsq.choose_formats(
        model, formats=("4/4/4/4", "8/8/-/-"), target_sqnr_db=20, **options
    ),
}


@pytest.mark.parametrize("name", QUANTIZERS)
def test_what_quantizes_refuses_it(plain, quantized, name):
    for form in (quantized, quantized.to_relax()):
        with pytest.raises(ModelError, match=r"quantized already, .* tvm_vsq\.compile, tvm_vsq\.tune"):
            QUANTIZERS[name](form, **plain[2])


def test_a_torch_module_around_it_is_refused_by_the_part(plain, quantized):
    around = nn.Sequential(nn.ReLU(), quantized)
    with pytest.raises(ModelError, match="part '1' is quantized already"):
        tvm_vsq.compile(around, **plain[2])


def test_fp32_scales_have_no_compiled_form(plain):
    module = tvm_vsq.fake_quantize(plain[0], quant="4/4/fp/fp", **plain[2])
    for use in (tvm_vsq.compile, tvm_vsq.export_onnx):
        with pytest.raises(ConfigError, match="no integer form and run on no accelerator"):
            use(module)
    with pytest.raises(ModelError, match="quantized already"):
        tvm_vsq.quantize_model(module, **plain[2])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weight_bits": 3}, r"layer 'a' is quantized with weight_bits=4, .* weight_bits=3"),
        ({"activation_scale_bits": 6}, r"layer 'a' .* activation_scale_bits=4, .* activation_scale_bits=6"),
        ({"vector_size": 8}, "layer 'a' .* vector_size=16, .* vector_size=8"),
        ({"scale_product_bits": 6}, "layer 'a' .* scale_product_bits=8, .* scale_product_bits=6"),
        ({"multiplier_bits": 8}, "layer 'a' .* multiplier_bits=16, .* multiplier_bits=8"),
        ({"guard_bits": 1}, "guard_bits=4, .* guard_bits=1"),
    ],
)
def test_an_accelerator_that_would_give_other_bits_is_refused_by_the_field(
    quantized, fields, message, tmp_path
):
    hardware = from_file(tmp_path, **fields)
    for compile_it in (
        lambda: tvm_vsq.compile(quantized, hardware),
        lambda: tvm.compile(quantized.to_relax(), target=hardware.tvm_target()),
    ):
        with pytest.raises(ConfigError, match=message):
            compile_it()


def test_scale_products_that_were_rounded_are_not_kept_whole(plain, tmp_path):
    hardware = from_file(tmp_path, scale_product_bits=6)
    config = tvm_vsq.QuantConfig.of_hardware(hardware).unfitted()
    module = tvm_vsq.fake_quantize(plain[0], target=hardware, **plain[2] | {"quant": config}).to_relax()
    with pytest.raises(ConfigError, match=r"layer 'a' .* scale_product_bits=6, .* scale_product_bits=8"):
        tvm_vsq.compile(module, "vsq-accel")
    from_elsewhere = module.without_attr("vsq_arithmetic")
    assert tvm_vsq.compile(from_elsewhere, "vsq-accel").hardware.notation == "4/4/4/4"
    assert same(
        tvm_vsq.compile(from_elsewhere, hardware)(plain[1]), tvm_vsq.compile(module, hardware)(plain[1])
    )


def test_sizes_that_change_no_result_may_differ(plain, quantized, tmp_path):
    hardware = from_file(tmp_path, output_lanes=32, accumulator_bits=40, clock_mhz=100)
    assert same(tvm_vsq.compile(quantized, hardware)(plain[1]), quantized(plain[1]))


def test_tuning_takes_it_as_it_is(quantized):
    options = {"trials": 2, "progress": False}
    database = tvm_vsq.tune(quantized, **options)
    assert database == tvm_vsq.tune(quantized.to_relax(), **options)
    assert database.records
    with pytest.raises(ConfigError, match="so example_inputs= would have no effect"):
        tvm_vsq.tune(quantized, example_inputs=torch.zeros(1), **options)


def test_exports_take_the_torch_module(quantized, tmp_path):
    assert tvm_vsq.export_onnx(quantized) == tvm_vsq.export_onnx(quantized.to_relax())
    tvm_vsq.export_safetensors(quantized, tmp_path / "weights.safetensors")
    assert set(tvm_vsq.load_safetensors(tmp_path / "weights.safetensors")) == {"a", "b", "c"}


@pytest.mark.large
def test_targets_of_one_name_are_told_apart(plain, tmp_path):
    """A target carries the accelerator's whole description, so it outlives printing and reading."""
    model, _, options = plain
    small = from_file(tmp_path, output_lanes=4)
    shipped = tvm_vsq.load_hardware("vsq-accel")
    quantized = tvm_vsq.quantize_model(model, **options)
    for hardware in (small, shipped):
        for target in (hardware.tvm_target(), tvm.target.Target(str(hardware.tvm_target()))):
            exe = tvm_vsq.Executable(tvm.compile(quantized, target=target))
            assert exe.hardware == hardware
    named = tvm_vsq.Executable(tvm.compile(quantized, target="vsq-accel"))
    assert named.hardware == shipped
    assert named.timing().cycles == tvm_vsq.compile(quantized).timing().cycles


@pytest.mark.parametrize("text", ["{}", "vsq-accel", ""])
def test_a_damaged_target_is_refused(quantized, text):
    target = tvm.target.Target({"kind": "llvm", "keys": ["vsq_accel", "cpu"], "model": text})
    with pytest.raises(ConfigError, match=f"no accelerator description: '{text}'"):
        tvm.compile(quantized.to_relax(), target=target)


@pytest.mark.parametrize("what", [5, "net.so", tvm.IRModule()])
def test_only_what_was_compiled_becomes_an_executable(what):
    with pytest.raises(ProgramError, match="nothing that TVM compiled"):
        tvm_vsq.Executable(what)


def test_what_tvm_compiled_for_another_target_is_no_executable(quantized):
    built = tvm.compile(quantized.to_relax(), target="llvm")
    with pytest.raises(ProgramError, match=r"holds no accelerator programs.*hardware\.tvm_target\(\)"):
        tvm_vsq.Executable(built)


def test_an_fp32_module_is_refused_by_tvm_compile(plain):
    from tvm_vsq.frontend import import_model

    module = import_model(plain[0], plain[2]["example_inputs"])
    with pytest.raises(ModelError, match=r"not quantized: use tvm_vsq\.quantize_model"):
        tvm.compile(module, target=tvm_vsq.load_hardware("vsq-accel").with_formats("3/3/4/4").tvm_target())
