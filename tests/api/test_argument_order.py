"""The arguments of public functions come in one order, and calls in the one before work and warn."""

from __future__ import annotations

import inspect

import pytest

import tvm_vsq
from tvm_vsq.errors import VsqDeprecationWarning

PUBLIC = [each for name in tvm_vsq.__all__ if inspect.isfunction(each := getattr(tvm_vsq, name))]


@pytest.mark.parametrize(
    "function",
    [each for each in PUBLIC if "model" in inspect.signature(each).parameters],
    ids=lambda each: each.__name__,
)
def test_functions_of_a_model_take_the_model_and_the_target_by_place_and_all_else_by_name(function):
    parameters = list(inspect.signature(function).parameters.values())
    if function is tvm_vsq.sweep:  # what a sweep is of comes between
        assert parameters.pop(1).name == "space"
    assert [each.name for each in parameters[:2]] == ["model", "target"]
    assert parameters[1].default == "vsq-accel"
    assert {each.kind for each in parameters[2:]} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.fixture
def plain(networks):
    """A network, and the arguments that every function takes besides."""
    model, x = networks.build(networks.Mlp)
    return model, {"example_inputs": (x,), "calibration": networks.samples(networks.Mlp)}


def test_fake_quantize_once_took_the_format_second(plain):
    model, data = plain
    for quant in ("8/8/-/-", tvm_vsq.QuantConfig.parse("8/8/-/-")):
        with pytest.warns(
            VsqDeprecationWarning, match=r"second argument is the target now.* write quant="
        ) as seen:
            network = tvm_vsq.fake_quantize(model, quant, target="vsq-accel-int8", **data)
        assert seen[0].filename == __file__
        assert network.hardware.notation == "8/8/-/-"
    assert tvm_vsq.fake_quantize(model, "vsq-accel-int8", **data).hardware.notation == "8/8/-/-"


def test_studies_once_took_the_formats_second(plain):
    model, data = plain
    formats = ("4/4/4/4", "8/8/-/-")
    with pytest.warns(VsqDeprecationWarning, match=r"write formats=\('4/4/4/4', '8/8/-/-'\)"):
        old = tvm_vsq.profile_formats(model, formats, "vsq-accel-int8", progress=False, **data)
    with pytest.warns(VsqDeprecationWarning):
        chosen = tvm_vsq.choose_formats(model, [*formats], max_energy_ratio=0.9, progress=False, **data)
    new = tvm_vsq.profile_formats(model, "vsq-accel-int8", formats=formats, progress=False, **data)
    assert old.choose(max_energy_ratio=0.9).formats == new.choose(max_energy_ratio=0.9).formats
    assert set(chosen.formats.values()) <= {*formats}
