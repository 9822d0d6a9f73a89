"""A sample of benchmarks/onnx/node_tests.py: right, or refused by the name of the node."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import tvm_vsq.importing

BENCHMARK = Path(__file__).parents[2] / "benchmarks/onnx"

RIGHT = {
    "attention": ["attention_23_boolmask_fullymasked_row_nan_robustness"],
    "averagepool": ["averagepool_2d_ceil"],
    "celu": ["celu"],
    "clip": ["clip_min_greater_than_max"],
    "conv": ["basic_conv_with_padding"],
    "convtranspose": ["convtranspose_autopad_same", "convtranspose_output_shape"],
    "gather": ["gather_negative_indices"],
    "gemm": ["gemm_all_attributes"],
    "isinf": ["isinf_positive"],
    "layernormalization": ["layer_normalization_4d_axis2"],
    "maxpool": ["maxpool_2d_same_lower"],
    "negativeloglikelihoodloss": ["nllloss_NC"],
    "pad": ["constant_pad_negative_axes"],
    "resize": ["resize_upsample_scales_cubic_align_corners"],
    "split": ["split_equal_parts_2d"],
}
REFUSED = {
    "compress": ["compress_0"],
    "det": ["det_2d"],
    "gru": ["gru_defaults"],
    "mod": ["mod_float_edge_cases_fmod_0_float32"],
    "quantizelinear": ["quantizelinear"],
    "resize": ["resize_downsample_scales_linear_antialias"],
    "sequence_map": ["sequence_map_identity_1_sequence_1_tensor"],
    "unique": ["unique_sorted_with_axis"],
}
"""Tests by their file in the onnx package."""


def named(tests: dict[str, list[str]]) -> list[str]:
    return [name for names in tests.values() for name in names]


@pytest.fixture(scope="module")
def node_tests() -> ModuleType:
    sys.path.insert(0, str(BENCHMARK))
    try:
        return importlib.import_module("node_tests")
    finally:
        sys.path.remove(str(BENCHMARK))


@pytest.fixture(scope="module")
def known(node_tests: ModuleType) -> dict[str, Any]:
    return node_tests.cases(*RIGHT, *REFUSED)


@pytest.mark.parametrize("name", named(RIGHT))
def test_it_is_right(node_tests: ModuleType, known: dict[str, Any], name: str) -> None:
    outcome = node_tests.judge(known[name])
    assert (outcome.verdict, outcome.detail) == ("right", "")
    with_layers = (*RIGHT["conv"], *RIGHT["convtranspose"], *RIGHT["gemm"])
    assert outcome.layers == (name in with_layers)


@pytest.mark.parametrize("name", named(REFUSED))
def test_it_is_refused_by_name(node_tests: ModuleType, known: dict[str, Any], name: str) -> None:
    assert node_tests.judge(known[name]).verdict == "refused"


def test_another_result_is_wrong(
    node_tests: ModuleType, known: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_tests, "TOLERANCE", -1.0)
    assert node_tests.judge(known["celu"]).verdict == "wrong"


@pytest.mark.parametrize(
    ("got", "words"),
    [
        (np.zeros(3, np.float64), "float64"),
        (np.array([0, 1, np.nan], np.float32), "differs where|differs by"),
        (np.array([0, 1.01, np.inf], np.float32), "result 0 differs by 0.01"),
    ],
)
def test_how_results_differ(node_tests: ModuleType, got: Any, words: str) -> None:
    expected = [np.array([0, 1, np.inf], np.float32)]
    assert node_tests.difference(expected, expected) == ""
    assert re.search(words, node_tests.difference(expected, [got]))


def test_a_foreign_exception_is_a_crash_and_a_refusal_without_the_node_is_unnamed(
    node_tests: ModuleType, known: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for error, verdict in ((KeyError("x"), "crash"), (tvm_vsq.VsqError("no"), "unnamed")):

        def fails(*_: Any, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(tvm_vsq.importing, "import_checked", fails)
        assert node_tests.judge(known["celu"]).verdict == verdict
