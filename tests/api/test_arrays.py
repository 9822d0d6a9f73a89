"""Arrays of any layout are taken wherever arrays go in; what is no array of floats is refused by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import tvm_vsq
from tvm_vsq.errors import VsqError
from tvm_vsq.frontend import import_model

X = np.random.default_rng(0).standard_normal((16, 32), np.float32)


def _read_only(x: Any) -> Any:
    copy = x.copy()
    copy.flags.writeable = False
    return copy


LEGAL: dict[str, Callable[[Any], Any]] = {
    "negative strides": lambda x: np.flip(np.flip(x).copy()),
    "read-only": _read_only,
    "every second": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "column by column": np.asfortranarray,
    "read-only and negative": lambda x: np.flip(_read_only(np.flip(x))),
    "wants a gradient": lambda x: torch.from_numpy(x.copy()).requires_grad_(),
    "transposed": lambda x: torch.from_numpy(x.T.copy()).T,
}

JUNK: dict[str, Callable[[Any], Any]] = {
    "objects": lambda x: x.astype(object),
    "text": lambda x: x.astype(str),
    "other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
    "no axes": lambda x: np.float32(1) * np.ones((), np.float32),
    "records": lambda x: np.zeros(16, [("a", np.float32)]),
    "dates": lambda x: np.zeros(x.shape, "datetime64[s]"),
    "complex": lambda x: x.astype(np.complex64),
    "bfloat16": lambda x: torch.from_numpy(x).bfloat16(),
    "meta": lambda x: torch.zeros(x.shape, device="meta"),
    "sparse": lambda x: torch.from_numpy(x).to_sparse(),
    "list": lambda x: x.tolist(),
    "None": lambda x: None,
}


@pytest.fixture(scope="module")
def ways() -> dict[str, tuple[Callable[[Any], Any], Any]]:
    """Where an array goes in, and what comes out for X."""
    torch.manual_seed(0)
    model = import_model(torch.nn.Sequential(torch.nn.Linear(32, 8)).eval(), (torch.zeros(16, 32),))
    options = {"quant": tvm_vsq.QuantConfig.parse("4/4/4/4").unfitted()}
    exe = tvm_vsq.compile(model, calibration=X, **options)
    network = tvm_vsq.fake_quantize(model, calibration=X, **options)

    def calibrated(x: Any) -> Any:
        return tvm_vsq.fake_quantize(model, calibration=x, **options)(X)

    def reported(x: Any) -> Any:
        report = tvm_vsq.quantization_report(model, calibration=X, data=x, **options)
        return np.array(report.output_sqnr_db)

    found = {
        "inference": exe,
        "batch": exe.run_batch,
        "torch": network,
        "calibration": calibrated,
        "report": reported,
    }
    return {way: (run, np.asarray(run(X))) for way, run in found.items()}


WAYS = ["inference", "batch", "torch", "calibration", "report"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("layout", LEGAL)
def test_the_layout_of_an_array_does_not_matter(ways, way, layout):
    run, expected = ways[way]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = run(LEGAL[layout](X))
    assert np.array_equal(np.asarray(found), expected)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", JUNK)
def test_what_is_no_array_of_floats_is_refused_in_one_line(ways, way, kind):
    if kind == "None" and way == "report":
        pytest.skip("stands for the calibration data")
    with pytest.raises(VsqError, match=r"input|calibration") as caught:
        ways[way][0](JUNK[kind](X))
    assert len(str(caught.value).splitlines()) == 1
