"""Each thing a user can get wrong has an error of its own that names it and says what to do."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import tvm_vsq
from tvm_vsq.errors import (
    CalibrationError,
    ConfigError,
    InputError,
    ModelError,
    QuantizationError,
    ScheduleError,
    VsqError,
)
from tvm_vsq.hardware import load_hardware


@pytest.fixture(scope="module")
def compiled(networks) -> Callable[..., Any]:
    """Compile PlainNet with everything right but what the keywords change."""
    model, x = networks.build(networks.PlainNet)
    right = {
        "model": model,
        "target": "vsq-accel",
        "example_inputs": (x,),
        "calibration": networks.samples(networks.PlainNet),
    }
    return lambda **wrong: tvm_vsq.compile(**{**right, **wrong})


@pytest.fixture(scope="module")
def exe(compiled):
    return compiled()


X = np.zeros((1, 16, 6, 6), np.float32)


@pytest.mark.parametrize("method", ["__call__", "profile", "reference"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param((), r"takes 1 input\(s\), \['x'\], but got 0", id="none"),
        pytest.param((X, X), r"takes 1 input\(s\), \['x'\], but got 2", id="two"),
        pytest.param((X[:, :8],), r"'x' must have shape \(1, 16, 6, 6\), got \(1, 8, 6, 6\)", id="shape"),
        pytest.param((X[0],), r"'x' must have shape \(1, 16, 6, 6\), got \(16, 6, 6\)", id="rank"),
        pytest.param((X.astype(np.float64),), "'x' must be float32, got float64", id="float64"),
        pytest.param((X.astype(">f4"),), "'x' must be float32, got >f4", id="byte order"),
        pytest.param((torch.zeros(X.shape).bfloat16(),), "'x' must be float32, got bfloat16", id="bfloat16"),
        pytest.param((torch.zeros(X.shape, device="meta"),), "'x' must be a dense tensor", id="meta"),
        pytest.param((torch.zeros(X.shape).to_sparse(),), "'x' must be a dense tensor", id="sparse"),
        pytest.param((X.tolist(),), "'x' must be a torch.Tensor or numpy.ndarray, not list", id="list"),
        pytest.param((X + np.float32(np.nan),), "'x' contains NaN or infinity", id="nan"),
        pytest.param((X - np.float32(np.inf),), "'x' contains NaN or infinity", id="infinity"),
    ],
)
def test_arguments_of_an_inference(exe, method, arguments, message):
    with pytest.raises(InputError, match=message):
        getattr(exe, method)(*arguments)


def test_an_inference_after_a_refused_one_is_right(exe):
    expected = exe(X)
    with pytest.raises(InputError):
        exe(X + np.float32(np.nan))
    assert np.array_equal(exe(X), expected)


def _nan_weights(networks: Any) -> nn.Module:
    model, _ = networks.build(networks.PlainNet)
    with torch.no_grad():
        model.b.weight[0, 0, 0, 0] = float("nan")
    return model


def test_nan_weights(networks, compiled):
    with pytest.raises(ModelError, match=r"'b\.weight' holds NaN or infinite values; load finite weights"):
        compiled(model=_nan_weights(networks))


def test_module_without_example_inputs(compiled):
    with pytest.raises(ModelError, match=r"PlainNet .* pass example_inputs="):
        compiled(example_inputs=None)


def test_dynamic_shapes(networks, compiled):
    model, _ = networks.build(networks.PlainNet)
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(model, (torch.randn(2, 16, 6, 6),), dynamic_shapes=shapes)
    with pytest.raises(ModelError, match=r"input 'x' has a dynamic shape .* without dynamic_shapes"):
        compiled(model=program, example_inputs=None)


@pytest.mark.parametrize("model", [None, {"weight": X}, nn.Conv2d])
def test_unsupported_model_type(compiled, model):
    with pytest.raises(
        ModelError, match=rf"cannot import a .*{type(model).__name__}; give a torch.nn.Module"
    ):
        compiled(model=model)


def test_path_of_something_else(compiled):
    with pytest.raises(ModelError, match=r"cannot import 'model.pt2': only a path of an ONNX model"):
        compiled(model="model.pt2")


@pytest.mark.parametrize("form", ["generator", "sequence"])
def test_an_error_of_the_callers_data_is_named_as_such(compiled, form):
    def samples():
        yield np.zeros((2, 16, 6, 6), np.float32)
        raise KeyError("label")

    class Dataset:
        def __iter__(self):
            return samples()

    data = samples() if form == "generator" else Dataset()
    with pytest.raises(CalibrationError, match=r"calibration\[1\] cannot be read: KeyError: 'label'"):
        compiled(calibration=data)


@pytest.mark.parametrize("flag", ["verify", "check_import", "strict", "progress"])
def test_flags_are_true_or_false(compiled, flag):
    with pytest.raises(ConfigError, match=f"{flag} must be True or False, not 'no'"):
        compiled(**{flag: "no"})


def test_model_without_a_layer_for_the_accelerator(compiled):
    with pytest.raises(QuantizationError, match=r"no layer to quantize .* compile it with TVM"):
        compiled(model=nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)))


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        pytest.param(None, "missing: give calibration=", id="none"),
        pytest.param([], "holds no data; give at least one batch", id="no batch"),
        pytest.param(X[:0], "input 'x': the array is empty", id="no sample"),
        pytest.param(X[:, :8], r"input 'x': shape .*expected \[n, 16, 6, 6\]", id="shape"),
        pytest.param(X.astype(np.float64), "input 'x': dtype float64 is not float32; convert", id="dtype"),
        pytest.param(X * np.float32(np.nan), "input 'x': holds NaN", id="nan"),
        pytest.param([(X, X)], r"\[0\] holds 2 arrays, the network has 1 input", id="labels"),
        pytest.param("images", "is a str; give an array", id="text"),
    ],
)
def test_calibration(compiled, calibration, message):
    with pytest.raises(CalibrationError, match=message), np.errstate(invalid="ignore"):
        compiled(calibration=calibration)


@pytest.mark.parametrize("target", ["tpu", "", "folder/tpu.yaml"])
def test_unknown_target(compiled, target):
    with pytest.raises(ConfigError, match=f"unknown target '{target}'; known are vsq-accel, .* YAML file"):
        compiled(target=target)


def test_target_of_a_wrong_type(compiled):
    with pytest.raises(ConfigError, match="target must be a name, a path or a HardwareConfig, not int"):
        compiled(target=4)


@pytest.mark.parametrize("quant", ["4/4/4", "four", "4/4/4/4/4", "", "4/4/-4/4"])
def test_quant_that_is_not_the_notation(compiled, quant):
    with pytest.raises(ConfigError, match=f"quant '{quant}' is not understood: write W/A/ws/as"):
        compiled(quant=quant)


@pytest.mark.parametrize(
    ("quant", "field"), [("9/4/4/4", r"weight_bits: .* \(got 9\)"), ("4/4/4/0", "activation_scale_")]
)
def test_quant_out_of_range(compiled, quant, field):
    with pytest.raises(ConfigError, match=f"quant '{quant}': {field}"):
        compiled(quant=quant)


def test_quant_that_the_target_cannot_run(compiled):
    message = "weight_bits=8, but target 'vsq-accel' is built with weight_bits=4; use quant='4/4/4/4'"
    with pytest.raises(ConfigError, match=message):
        compiled(quant="8/8/-/-")
    with pytest.raises(ConfigError, match=r"vector_size=32, but target 'vsq-accel' .* vector_size=16"):
        compiled(quant=tvm_vsq.QuantConfig.parse("4/4/4/4", vector_size=32))


def test_layer_that_fits_no_tile_names_buffer_and_lack(compiled):
    # Channel groups, here of 16 blocks, are not cut.
    hardware = load_hardware("vsq-accel").with_formats("4/4/4/4", vector_size=64)
    pads = hardware.scratchpads.model_copy(update={"wgt_kib": 1})
    small = hardware.model_copy(update={"scratchpads": pads, "output_lanes": 4})
    message = (
        "layer 'a' .*weight scratchpad needs 16 entries and has 7, 9 too few; .*raise scratchpads.wgt_kib"
    )
    with pytest.raises(ScheduleError, match=message):
        compiled(target=small)


@pytest.mark.parametrize("trials", [0, -3, 2.5, "many"])
def test_trials(networks, trials):
    model, x = networks.build(networks.PlainNet)
    with pytest.raises(ConfigError, match=f"trials={trials!r}"):
        tvm_vsq.tune(model, trials=trials, example_inputs=(x,), progress=False)


def test_tuning_database_of_a_wrong_type(networks):
    model, x = networks.build(networks.PlainNet)
    with pytest.raises(ConfigError, match="database must be a Database or a path, not int"):
        tvm_vsq.tune(model, trials=1, example_inputs=(x,), database=3, progress=False)


@pytest.mark.parametrize(
    ("schedules", "message"),
    [("tuned.json", 'no schedule database .*tuned.json.*use "auto" or "default"'), (None, "not NoneType")],
)
def test_schedules_that_do_not_exist(compiled, tmp_path, schedules, message):
    with pytest.raises(ScheduleError, match=message):
        compiled(schedules=schedules and tmp_path / schedules)


def test_schedules_that_cannot_be_read(compiled, tmp_path):
    file = tmp_path / "tuned.json"
    file.write_text('{"version": 7}', encoding="utf-8")
    with pytest.raises(ScheduleError, match=r"tuned\.json.*version"):
        compiled(schedules=file)


PUBLIC = [
    tvm_vsq.choose_formats,
    tvm_vsq.compile,
    tvm_vsq.export_onnx,
    tvm_vsq.export_safetensors,
    tvm_vsq.fake_quantize,
    tvm_vsq.load,
    tvm_vsq.load_hardware,
    tvm_vsq.profile_formats,
    tvm_vsq.quantization_report,
    tvm_vsq.quantize_model,
    tvm_vsq.tune,
]


@pytest.mark.parametrize("function", PUBLIC, ids=lambda function: function.__name__)
def test_an_argument_that_there_is_not_is_named_with_its_function(function):
    parameters = inspect.signature(function).parameters.values()
    needed = {each.name: "needed" for each in parameters if each.default is inspect.Parameter.empty}
    with pytest.raises(TypeError, match=rf"{function.__name__}\(\).* keyword argument 'calibrate'"):
        function(**needed, calibrate=1)
    with pytest.raises(TypeError, match=rf"{function.__name__}\(\).* missing a? ?.*required .*argument"):
        function()


@pytest.mark.parametrize("function", [tvm_vsq.fake_quantize, tvm_vsq.choose_formats, tvm_vsq.compile])
def test_an_array_is_no_flag(function):
    given = {"formats": ("4/4/4/4", "8/8/-/-"), "max_energy_ratio": 0.9}
    with pytest.raises(ConfigError, match="check_import must be True or False, not array"):
        function(
            nn.Linear(16, 8).eval(),
            example_inputs=torch.zeros(1, 16),
            calibration=torch.zeros(1, 16),
            check_import=np.zeros(3),
            **(given if function is tvm_vsq.choose_formats else {}),
        )


def test_an_array_is_no_schedule_database(compiled):
    with pytest.raises(ScheduleError, match=r"schedules must be .* not ndarray"):
        compiled(schedules=np.zeros(3))


def test_every_error_is_a_vsq_error():
    kinds = (CalibrationError, ConfigError, InputError, ModelError, QuantizationError, ScheduleError)
    assert all(issubclass(kind, VsqError) for kind in kinds)
