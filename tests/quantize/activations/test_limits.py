"""What a coarse scale covers: each method against a formula of its own, and their part in compiling."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.seeds import one_of
from torch import nn

import tvm_vsq
from tvm_vsq.errors import CalibrationError, ConfigError
from tvm_vsq.formats import VectorFormat
from tvm_vsq.hardware import load_hardware
from tvm_vsq.quantize.activations import limits

RNG = np.random.default_rng(3)


def counts_of(x: np.ndarray, absmax: float, bins: int = limits.BINS) -> np.ndarray:
    return np.histogram(np.abs(x), bins, (0, absmax))[0]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.sampled_from([10.0, 50.0, 90.0, 99.0, 99.9, 100.0]))
def test_a_percentile_is_numpys_within_a_bin(seed, percentile):
    x = np.random.default_rng(seed).laplace(size=5000)
    absmax = float(np.abs(x).max())
    expected = np.percentile(np.abs(x), percentile, method="inverted_cdf")
    found = limits.percentile_limit(counts_of(x, absmax), absmax, percentile)
    assert expected - 1e-9 <= found <= expected + absmax / limits.BINS + 1e-9


def divergence(counts: list[int], end: int, levels: int) -> float:
    """The definition, bin by bin."""
    reference = [float(c) for c in counts[:end]]
    reference[-1] += sum(counts[end:])
    merged = [0.0] * end
    for level in range(levels):
        group = [i for i in range(end) if i * levels // end == level]
        filled = [i for i in group if counts[i] > 0]
        for i in filled:
            merged[i] = sum(counts[j] for j in group) / len(filled)
    total, whole = 0.0, sum(merged)
    for p, q in zip(reference, merged, strict=True):
        smoothed = (1 - 1e-4) * (q / whole if whole else 0) + 1e-4 / end
        if p > 0:
            total += p / sum(reference) * np.log(p / sum(reference) / smoothed)
    return total


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 50), min_size=40, max_size=72), st.sampled_from([4, 7, 16]))
def test_the_entropy_limit_has_the_least_divergence(counts, levels):
    counts[3] += 1
    counts[-1] += 1
    found = limits.entropy_limit(np.array(counts), 1.0, levels)
    counts[0] = counts[1]
    ends = range(len(counts), levels - 1, -8)
    losses = {end: divergence(counts, end, levels) for end in ends}
    assert losses[round(found * len(counts))] == pytest.approx(min(losses.values()))


@pytest.mark.parametrize("scale_bits", [None, 4])
def test_the_mse_limit_has_the_least_error_on_the_vectors(scale_bits):
    fmt = VectorFormat(4, scale_bits, 16, signed=True)
    x = RNG.laplace(size=(500, 16)).astype(np.float32)
    absmax = float(np.abs(x).max())

    def error(limit: float) -> float:
        """Quantization as docs/numerics.md writes it, in floating point."""
        gamma = limit / (fmt.qmax * fmt.smax)
        y = np.rint(x.astype(np.float64) / gamma * 16) / 16
        scale = np.clip(np.ceil(np.abs(y).max(axis=1, keepdims=True) / fmt.qmax), 1, fmt.smax)
        q = np.clip(np.floor(y / scale + 0.5), -fmt.qmax, fmt.qmax)
        return float(np.square(q * scale * gamma - x).sum())

    candidates = absmax * 2.0 ** (-np.arange(25) / 8)
    found = limits.mse_limit(x, absmax, fmt, guard_bits=4)
    assert error(found) <= min(error(limit) for limit in candidates) * 1.001
    if scale_bits is None:
        assert found < absmax  # four bits for a heavy tail: clipping pays


def test_sampled_vectors_come_evenly_from_all_batches():
    seen = limits.Observation(absmax=50.0, vector_size=8)
    for batch in range(50):
        seen.add(np.full((10, 20, 12), batch + 1, np.float32))  # 12 channels: a vector and a half
    assert len(seen.vectors) == 4096
    assert seen.counts.sum() == 50 * 10 * 20 * 12
    batches = np.bincount(seen.vectors.max(axis=1).astype(int), minlength=51)[1:]
    assert batches.min() > 40
    assert batches.max() < 140
    assert set(np.unique((seen.vectors != 0).sum(axis=1))) == {4, 8}


@pytest.fixture(scope="module")
def outlier():
    """A layer whose input has one value in ten thousand that is forty times as large as the others."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 8)).eval()
    data = RNG.standard_normal((400, 32)).astype(np.float32)
    data[7, 5] = 40 * np.abs(data).max()
    return model, data


def config(**changes):
    hardware = load_hardware("vsq-accel-int8")
    return tvm_vsq.QuantConfig.of_hardware(hardware).model_copy(update=changes)


@pytest.mark.parametrize(("method", "factor"), one_of([("percentile", 5), ("entropy", 1)]))
@pytest.mark.parametrize(
    "form", one_of([lambda data: data, lambda data: (row[None] for row in data)]), ids=["array", "generator"]
)
def test_clipping_an_outlier_makes_all_other_results_better(outlier, method, factor, form):
    model, data = outlier
    usual = np.delete(data, 7, axis=0)[:100]
    with torch.no_grad():
        expected = model(torch.from_numpy(usual)).numpy()
    errors = {}
    for calibration in ("max", method):
        exe = tvm_vsq.compile(
            model,
            "vsq-accel-int8",
            quant=config(activation_calibration=calibration, activation_percentile=99.9),
            calibration=form(data),
            example_inputs=(torch.from_numpy(data[:1]),),
        )
        result = exe.run_batch(usual)
        assert np.array_equal(result[:1], exe.reference(usual[:1]))
        errors[calibration] = float(np.square(result - expected).sum())
    assert errors[method] < errors["max"] / factor


def test_a_tensor_of_zeros_is_refused(outlier):
    model, data = copy.deepcopy(outlier)
    nn.init.constant_(model[0].bias, -1e3)  # nothing passes the ReLU
    with pytest.raises(CalibrationError, match="is 0 on all calibration data, so that mse calibration"):
        tvm_vsq.compile(
            model,
            "vsq-accel-int8",
            quant=config(activation_calibration="mse"),
            calibration=data,
            example_inputs=(torch.from_numpy(data[:1]),),
        )


@pytest.mark.parametrize("change", [{"activation_calibration": "median"}, {"activation_percentile": 0.0}])
def test_unknown_methods_are_refused(change):
    fields = config().model_dump() | change
    with pytest.raises(ConfigError, match=next(iter(change))):
        tvm_vsq.QuantConfig.model_validate(fields)
