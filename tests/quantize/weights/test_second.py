"""The second moment from a matrix and from rows, and which of the two adds up."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tvm_vsq.quantize.weights import second as module
from tvm_vsq.quantize.weights.second import Second, SecondSum


def rows_of(count: int, size: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((count, size)).astype(np.float32))


@pytest.mark.parametrize("is_dense", [True, False])
def test_both_forms_say_the_same(is_dense, monkeypatch):
    monkeypatch.setattr(module, "_SIDES_AT_ONCE", 2)
    x, errors = rows_of(7, 12), rows_of(12, 5)
    found = Second(x.T @ x) if is_dense else Second(x, of_rows=True)
    h = (x.T @ x).double().numpy()
    e = errors.double().numpy()
    np.testing.assert_allclose(found.matrix(), h, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.form(errors), [c @ h @ c for c in e.T], rtol=1e-4)
    np.testing.assert_allclose(found.form(errors[:, None])[0], found.form(errors), rtol=1e-6)
    assert found.mean == pytest.approx(np.trace(h) / 12, rel=1e-5)
    blocks = found.blocks(4)
    for vector in range(3):
        lanes = slice(4 * vector, 4 * vector + 4)
        np.testing.assert_allclose(blocks[vector], h[lanes, lanes], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        found.solved(errors, 0.5), np.linalg.solve(h + 0.5 * np.eye(12), e), rtol=1e-3, atol=1e-5
    )
    padded = found.padded(3, 8).matrix().numpy().reshape(4, 8, 4, 8)
    np.testing.assert_allclose(padded[:, :3, :, :3], h.reshape(4, 3, 4, 3), rtol=1e-5, atol=1e-5)
    assert not padded[:, 3:].any()
    assert not padded[..., 3:].any()


@pytest.mark.parametrize(
    ("batches", "is_dense"), [([3, 4], False), ([3, 4, 2], True), ([9, 1, 1030, 5], True)]
)
def test_rows_are_kept_while_they_are_few(batches, is_dense):
    total, parts = SecondSum(16), [rows_of(count, 16, seed) for seed, count in enumerate(batches)]
    for part in parts:
        total.add(part)
    found, x = total.second(), torch.cat(parts).double()
    assert found.of_rows != is_dense
    np.testing.assert_allclose(found.matrix(), x.T @ x / len(x), rtol=1e-4, atol=1e-5)


def test_of_more_rows_than_memory_each_is_as_likely_as_any_other(monkeypatch):
    monkeypatch.setattr(module, "_MOST_VALUES", 10 * 100)
    places = []
    for seed in range(200):
        total = SecondSum(100, _rng=np.random.default_rng(seed))
        for start in range(0, 40, 8):
            total.add(torch.arange(start, start + 8, dtype=torch.float32)[:, None].expand(-1, 100))
        found = total.second()
        assert found.values.shape == (10, 100)
        places.append(found.values[:, 0].numpy() * 10**0.5)
    counts = np.bincount(np.rint(np.concatenate(places)).astype(int), minlength=40)
    assert len(counts) == 40
    assert 25 < counts.min() <= counts.max() < 80  # 50 of each


def test_rows_that_wait_are_bounded():
    total = SecondSum(64)
    for _ in range(40):
        total.add(rows_of(100, 64))
        assert sum(map(len, total._held)) <= 1024
    assert total.most_values == 64 * 64


@pytest.mark.parametrize("is_dense", [True, False])
@pytest.mark.parametrize("spread", [1.0, 1e-7])
def test_what_hardly_varies_varies_value_by_value(is_dense, spread):
    x = 3 + spread * rows_of(7, 12)
    found = Second(x.T @ x / 7) if is_dense else Second(x / 7**0.5, of_rows=True)
    varied = found.centred(x.double().mean(0)).matrix().double()
    if spread == 1:
        away = (x - x.mean(0)).double()
        np.testing.assert_allclose(varied, away.T @ away / 7, atol=1e-4)
    else:
        np.testing.assert_allclose(varied.diagonal().mean(), 2.0**-16 * found.mean, rtol=0.2)
        assert torch.linalg.eigvalsh(varied).min() > 0


def test_damping_grows_until_there_is_a_factor():
    matrix = torch.diag(torch.tensor([1.0, -0.3, 2.0], dtype=torch.float64))
    lower = module.lower_factor(matrix.clone(), 0.01)
    added = (lower @ lower.T - matrix).diagonal()
    np.testing.assert_allclose(added, added[0].item())
    assert 0.3 < added[0] < 3.1
