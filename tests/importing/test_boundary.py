"""What other libraries raise leaves as a VsqError that names the phase."""

import pytest
import torch
from torch import nn

import tvm_vsq
from tvm_vsq.errors import ModelError, QuantizationError
from tvm_vsq.frontend import canonical
from tvm_vsq.importing import import_checked

X = torch.randn(32, 16, generator=torch.Generator().manual_seed(0))


def _raises(*_args: object, **_options: object) -> None:
    raise RuntimeError("something inside\nand its backtrace")


def test_an_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canonical, "STEPS", [_raises])
    with pytest.raises(
        ModelError, match=r"^importing the model failed.*RuntimeError: something inside; "
    ) as caught:
        import_checked(nn.Linear(16, 4), X)
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tvm_vsq.importing.check.results_of", _raises)
    with pytest.raises(ModelError, match=r"^checking the import failed.*something inside"):
        import_checked(nn.Linear(16, 4), X)


def test_quantization(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tvm_vsq.pipeline.quantize_prepared", _raises)
    with pytest.raises(QuantizationError, match=r"^quantizing the model failed.*something inside"):
        tvm_vsq.compile(nn.Linear(16, 4), example_inputs=X, calibration=X)


def test_code_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tvm_vsq.generate.lower_region", _raises)
    with pytest.raises(ModelError, match=r"^compiling the model for vsq-accel failed.*something inside"):
        tvm_vsq.compile(nn.Linear(16, 4), example_inputs=X, calibration=X)


@pytest.mark.parametrize("shape", [(0, 16), (4, 0)])
def test_inputs_without_elements(shape: tuple[int, int]) -> None:
    with pytest.raises(ModelError, match=r"every extent must be at least 1"):
        import_checked(nn.Linear(shape[1], 4), torch.zeros(shape))


def test_tensors_without_elements_inside_a_model() -> None:
    class Empty(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, :0].sum(1) + x[:, 0]

    with pytest.raises(ModelError, match=r"shape \[32, 0\]; every extent must be at least 1"):
        import_checked(Empty(), X)


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        ("tvm_vsq.codegen.build.lower_layer", "^lowering layer 'weight' failed"),
        ("tvm_vsq.codegen.region.default_knobs", "^scheduling layer 'weight' failed"),
        (
            "tvm_vsq.quantize.weights.layer_weights._choose",
            "^choosing the integer weights of layer 'weight' failed",
        ),
    ],
)
def test_what_fails_in_a_layer_names_it(monkeypatch: pytest.MonkeyPatch, inside: str, words: str) -> None:
    monkeypatch.setattr(inside, _raises)
    with pytest.raises(tvm_vsq.VsqError, match=words):
        tvm_vsq.compile(nn.Linear(16, 4), example_inputs=X, calibration=X)
