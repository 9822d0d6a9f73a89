"""Units of rows that are normalized, beside the epsilon that is added to their variance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.seeds import first_of
from torch import nn

import tvm_vsq
from tvm_vsq import QuantConfig


@pytest.mark.parametrize("norm", [nn.LayerNorm, nn.RMSNorm])
@pytest.mark.parametrize(
    ("scale", "epsilon"),
    first_of([(1e-4, 1e-5), (1.0, 1e6), (1.0, 0.0), (0.0, 1e-5), (1e-30, 1e-5)], 1),
)
def test_rows_may_be_small_beside_epsilon(networks, norm, scale, epsilon):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 33), norm(33, eps=epsilon), nn.Linear(33, 5, bias=False)).eval()
    x = torch.randn(16, 20)
    with torch.no_grad():
        for parameter in model[0].parameters():
            parameter *= scale
        expected = model(x).numpy()
    exe = tvm_vsq.compile(
        model,
        "vsq-accel-int8",
        quant=QuantConfig.parse("8/8/-/-").unfitted(),
        example_inputs=x,
        calibration=x.numpy(),
        strict=True,
    )
    result = exe(x.numpy())
    np.testing.assert_array_equal(result, exe.reference(x.numpy()))
    if scale == 0:
        assert not result.any()
    elif scale == 1e-4:
        assert networks.sqnr_db(expected, result) > 30
