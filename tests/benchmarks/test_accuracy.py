"""make bench-accuracy on a few digits, and its statistics against formulas written anew."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks/accuracy"


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    pytest.importorskip("scipy")
    monkeypatch.syspath_prepend(str(BENCHMARK))
    sys.modules.pop("metrics", None)
    yield importlib.import_module("metrics")
    sys.modules.pop("metrics", None)


def run(directory: Path) -> tuple[str, str]:
    """What a run over twenty digits prints and writes."""
    document = directory / "accuracy.md"
    sizes = ["--samples", "20", "--simulated", "3", "--rows", "1"]
    where = ["--kept", str(directory), "--output", str(document)]
    command = [sys.executable, str(BENCHMARK / "run.py"), "--networks", "resnet8", *sizes, *where]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout, document.read_text()


@pytest.mark.large
def test_a_row_is_measured_simulated_and_written_and_not_measured_twice(tmp_path: Path) -> None:
    pytest.importorskip("mlxtend")
    _, document = run(tmp_path)
    assert "(n = 20)" in document
    assert "| same decision as fp32, %, by W/A | plain: per channel |" in document
    assert "| 8/8 | 100.0 |" in document
    assert "| ResNet-8 | 8/8/-/- | 16 | plain | 3 | 3 | 3 | - |" in document, "the simulator differs"

    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "ResNet-8").iterdir()}
    assert len(kept) == 2  # fp32 and the row
    _, again = run(tmp_path)
    assert again == document
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "ResNet-8").iterdir()} == kept


def test_accuracy_has_the_error_of_a_proportion_and_its_difference_that_of_pairs(metrics: ModuleType) -> None:
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 2, 400)
    one = np.where(generator.random(400) < 0.8, labels, 1 - labels)
    other = np.where(generator.random(400) < 0.05, 1 - one, one)
    metric = metrics.Accuracy("top-1", lambda y: y, lambda d: d == labels, 400)
    estimate, changed = metric.estimate(one), metric.estimate(other)
    share = (one == labels).mean()
    assert estimate.value == pytest.approx(100 * share)
    assert estimate.error == pytest.approx(100 * np.sqrt(share * (1 - share) / 400), rel=0.1)
    difference = (other == labels).astype(float) - (one == labels)
    assert changed.minus(estimate).error == pytest.approx(100 * difference.std() / 20, rel=0.1)
    assert metric.agreement(other, one) == pytest.approx(100 * (one == other).mean())


@pytest.mark.parametrize("by_rank", [False, True])
def test_a_correlation_is_scipys_with_the_error_of_resampled_pairs(
    metrics: ModuleType, by_rank: bool
) -> None:
    from scipy.stats import pearsonr, spearmanr

    generator = np.random.default_rng(2)
    vectors = generator.normal(size=(300, 8))
    pairs = generator.integers(0, 300, (500, 2))
    cosines = (vectors[pairs[:, 0]] * vectors[pairs[:, 1]]).sum(1)
    judged = cosines + generator.normal(size=500)
    metric = metrics.Correlation("r", slice(None), pairs, judged, by_rank=by_rank, by_item=False)
    function = spearmanr if by_rank else pearsonr
    estimate = metric.estimate(vectors)
    assert estimate.value == pytest.approx(100 * function(cosines, judged)[0])
    drawn = [generator.integers(0, 500, 500) for _ in range(300)]
    expected = 100 * np.std([function(cosines[i], judged[i])[0] for i in drawn])
    assert estimate.error == pytest.approx(expected, rel=0.2)


def test_sqnr_is_a_ratio_of_powers(metrics: ModuleType) -> None:
    signal = np.array([3.0, 4.0], np.float32)
    assert metrics.sqnr_db(signal + np.float32(0.5), signal) == pytest.approx(10 * np.log10(25 / 0.5))
    assert metrics.sqnr_db(signal, signal) == np.inf
