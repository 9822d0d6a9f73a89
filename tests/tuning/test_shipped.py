"""The databases in schedules/ are of today's accelerators and lowering, and know every layer of the networks
that they were tuned for."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.seeds import one_of

import tvm_vsq
from tvm_vsq.codegen import region_workloads
from tvm_vsq.hardware import list_targets, load_hardware
from tvm_vsq.pipeline import regions_of
from tvm_vsq.schedule import Database, fingerprint

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/tuning.md"
AGAIN = "tune again: make schedules"


@pytest.fixture
def tune_shipped(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The script that makes the databases."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield importlib.import_module("tune_shipped")
    for name in ("tune_shipped", "resnet50", "model", "lite0", "packages", "shapes"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("target", list_targets())
def test_no_record_is_stale(target: str) -> None:
    database, mark = Database.load(ROOT / "schedules" / f"{target}.json"), fingerprint(load_hardware(target))
    stale = [record.workload for record in database.records if record.hardware != mark]
    assert not stale, AGAIN


@pytest.mark.parametrize("target", one_of(list_targets()))
@pytest.mark.parametrize(
    ("name", "layers", "count"),
    [
        ("resnet8", None, 10),
        ("minilm", 1, 10),
        pytest.param("minilm", None, 54, marks=pytest.mark.large),
        pytest.param("bert_base", None, 108, marks=pytest.mark.large),
        pytest.param("resnet50", None, 54, marks=pytest.mark.large),
        pytest.param("efficientnet_lite0", None, 51, marks=pytest.mark.large),
    ],
)
def test_every_layer_has_a_record_that_fits_it(
    tune_shipped: Any, name: str, layers: int | None, count: int, target: str
) -> None:
    """Layers that are searched once stand for all others of their shape."""
    hardware, (model, sample) = load_hardware(target), tune_shipped.model_of(name, layers)
    database = Database.load(ROOT / "schedules" / f"{target}.json")
    regions = regions_of(tune_shipped.quantized(model, sample, target), hardware)
    found = [pair for region in regions for pair in region_workloads(region, hardware)]
    assert len(found) >= count
    missing = [layer for layer, workload in found if database.find(workload, hardware) is None]
    assert not missing, AGAIN


@pytest.mark.large
@pytest.mark.parametrize("target", list_targets())
def test_the_page_has_the_cycles_of_today(tune_shipped: Any, target: str) -> None:
    (row,) = re.findall(rf"^\| `{target}` \| ([\d,]+) \| ([\d,]+) \| 1", PAGE.read_text(), re.M)
    module = tune_shipped.quantized(*tune_shipped.model_of("resnet8"), target)
    found = [tvm_vsq.compile(module, target, schedules=each).timing() for each in ("default", "auto")]
    assert row == tuple(f"{profile.cycles:,}" for profile in found), "python benchmarks/tune_shipped.py"
