"""Explicit zero pads become the padding of the convolution that reads them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.seeds import first_of, one_of
from torch import nn
from torch.nn import functional as F

import tvm_vsq
from tvm_vsq.frontend import import_model
from tvm_vsq.graph import bindings, op_name


class Padded(nn.Module):
    def __init__(self, widths, value=0.0, mode="constant", groups=1, padding=0):
        super().__init__()
        self.widths, self.value, self.mode = widths, value, mode
        self.conv = nn.Conv2d(4, 8, 3, stride=2, groups=groups, padding=padding)

    def forward(self, x):
        extra = {"value": self.value} if self.mode == "constant" else {}
        return self.conv(F.pad(x, self.widths, mode=self.mode, **extra))


def imported(model):
    torch.manual_seed(0)
    x = torch.randn(2, 4, 9, 10)
    module = import_model(model.eval(), (x,))
    return x, module, [op_name(binding.value) for binding in bindings(module["main"])]


@pytest.mark.parametrize("widths", [(0, 1, 0, 1), (1, 2, 3, 4), (2, 0, 0, 0)])
@pytest.mark.parametrize("groups", one_of([1, 4]))
def test_zeros_fold_and_the_result_stays(networks, widths, groups):
    model = Padded(widths, groups=groups, padding=(1, 0))
    x, module, names = imported(model)
    assert "relax.nn.pad" not in names
    with torch.no_grad():
        expected = model(x).numpy()
    np.testing.assert_allclose(networks.run_tvm(module, x)[0], expected, atol=1e-5)


@pytest.mark.parametrize(
    "model",
    [Padded((0, 1, 0, 1), value=1.0), Padded((0, 1, 0, 1), mode="reflect")],
    ids=["ones", "reflect"],
)
def test_other_pads_keep_their_meaning(networks, model):
    x, module, _ = imported(model)
    with torch.no_grad():
        expected = model(x).numpy()
    np.testing.assert_allclose(networks.run_tvm(module, x)[0], expected, atol=1e-5)


class Pooled(nn.Module):
    """Zeros around an image, between a convolution with `function` and a pool."""

    def __init__(self, pool, function=None, widths=(0, 1, 1, 0)):
        super().__init__()
        self.conv, self.function = nn.Conv2d(4, 8, 1), function or nn.Identity()
        self.pool, self.widths = pool, widths

    def forward(self, x):
        return self.pool(F.pad(self.function(self.conv(x)), self.widths))


FOLDS = {
    "a maximum of what is not negative": Pooled(nn.MaxPool2d(3, 2), nn.ReLU()),
    "an average": Pooled(nn.AvgPool2d(3, 2)),
    "an average that counts its zeros": Pooled(nn.AvgPool2d(3, 2, 1)),
}
KEEP = {
    "a maximum of anything": Pooled(nn.MaxPool2d(3, 2)),
    "an average that does not count its zeros": Pooled(nn.AvgPool2d(3, 2, 1, count_include_pad=False)),
    "an average beyond the end": Pooled(nn.AvgPool2d(3, 2, ceil_mode=True)),
    "a maximum of zeros alone": Pooled(nn.MaxPool2d(2, 1), nn.ReLU(), (0, 3, 0, 0)),
}


@pytest.mark.parametrize("case", FOLDS)
def test_zeros_around_pools_fold(networks, case):
    x, module, names = imported(FOLDS[case])
    assert "relax.nn.pad" not in names
    with torch.no_grad():
        expected = FOLDS[case](x).numpy()
    np.testing.assert_allclose(networks.run_tvm(module, x)[0], expected, atol=1e-5)


@pytest.mark.parametrize("case", first_of(KEEP, 2))
def test_zeros_that_a_pool_would_take_for_none_stay(networks, case):
    x, module, names = imported(KEEP[case])
    assert "relax.nn.pad" in names
    with torch.no_grad():
        expected = KEEP[case](x).numpy()
    np.testing.assert_allclose(networks.run_tvm(module, x)[0], expected, atol=1e-5)


def test_padding_that_differs_from_side_to_side_runs_on_the_accelerator():
    model = Padded((0, 1, 0, 1)).eval()
    x = torch.randn(1, 4, 8, 8)
    exe = tvm_vsq.compile(model, example_inputs=(x,), calibration=x.numpy())
    assert {row.where for row in exe.explain() if row.op == "vsq.conv2d"} == {"accelerator"}
    assert np.array_equal(exe(x.numpy()), exe.reference(x.numpy()))
