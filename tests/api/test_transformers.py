"""Token ids through the whole compiler: results, inputs by name, ids that are none, batches, calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.seeds import first_of
from tests.transformers_models import Decoder, Encoder, batch

import tvm_vsq

TARGET = "vsq-accel-int8"


@pytest.fixture(scope="module")
def encoder() -> tuple[Any, Any, dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    model, given = Encoder("sdpa").eval(), batch(2, 9)
    data = [batch(2, 9) for _ in range(6)]
    return model, tvm_vsq.compile(model, TARGET, example_inputs=given, calibration=data), given


def _tuple(results: Any) -> tuple[Any, ...]:
    return results if isinstance(results, tuple) else (results,)


def _equal(some: Any, others: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(_tuple(some), _tuple(others), strict=True))


def test_results_are_those_of_the_reference_and_near_torch(networks, encoder):
    model, exe, given = encoder
    results = exe(**given)
    assert _equal(results, exe.reference(**given))
    with torch.no_grad():
        expected = model(**given)
    for ours, theirs in zip(results, expected, strict=True):
        assert isinstance(ours, torch.Tensor)
        assert networks.sqnr_db(theirs.numpy(), ours.numpy()) > 30


def test_arguments_by_place_by_name_and_in_one_mapping(encoder):
    _, exe, given = encoder
    ids, mask = given.values()
    expected = exe(ids, mask)
    for results in (exe(ids, attention_mask=mask), exe(given), exe.profile(**given).outputs):
        assert _equal(results, expected)
    results = exe(ids.numpy(), mask.numpy())
    assert [type(each) for each in results] == [np.ndarray, np.ndarray]
    many = exe.run_batch(**{name: torch.cat([each, each]) for name, each in given.items()})
    assert _equal(tuple(each[2:] for each in many), expected)


def test_ids_that_the_table_does_not_have(encoder):
    _, exe, given = encoder
    ids = given["input_ids"].clone()
    for wrong in (50, -1):
        ids[1, 2] = wrong
        with pytest.raises(tvm_vsq.VsqError, match=rf"'input_ids' holds {wrong} at \[1, 2\], .*give 0 to 49"):
            exe(ids, given["attention_mask"])
    with pytest.raises(tvm_vsq.VsqError, match="input 'input_ids' must be int64, got int32"):
        exe(ids.int(), given["attention_mask"])
    with pytest.raises(tvm_vsq.VsqError, match="lacks 'attention_mask'"):
        exe(input_ids=ids)


def test_a_mask_matters_and_what_it_hides_does_not(encoder):
    _, exe, given = encoder
    ids, mask = given["input_ids"].clone(), given["attention_mask"]
    ids[1, 6:] = 3  # behind the mask's end
    shown, hidden = exe(ids, mask)[0], exe(**given)[0]
    assert torch.equal(shown[0], hidden[0])
    assert torch.equal(shown[1, :5], hidden[1, :5])


def test_a_saved_model_checks_ids_too(encoder, tmp_path):
    _, exe, given = encoder
    exe.save(tmp_path / "net.so")
    loaded = tvm_vsq.load(tmp_path / "net.so")
    assert _equal(loaded(**given), exe(**given))
    with pytest.raises(tvm_vsq.VsqError, match="give 0 to 49"):
        loaded(given["input_ids"] + 50, given["attention_mask"])


def test_only_the_lookup_of_embeddings_is_left_to_the_host(encoder):
    rows = encoder[1].explain()
    on_chip = [row.layer for row in rows if row.where == "accelerator"]
    names = {f"attention.{name}" for name in ("query", "key", "value", "out")} | {"up", "down", "pooler"}
    assert set(on_chip) >= {*names, "softmax_0", "layer_norm_0", "layer_norm_1", "layer_norm_2"}
    on_cpu = [row.op for row in rows if row.where == "cpu"]
    found = [on_cpu.count(f"relax.{name}") for name in ("matmul", "nn.softmax", "nn.layer_norm", "take")]
    assert found == [0, 0, 0, 1]


@pytest.mark.large
def test_a_decoder(networks):
    model, given = Decoder().eval(), {"input_ids": batch(2, 7)["input_ids"]}
    data = [{"input_ids": batch(2, 7)["input_ids"]} for _ in range(6)]
    exe = tvm_vsq.compile(model, TARGET, example_inputs=given, calibration=data)
    results = exe(**given)
    assert _equal(results, exe.reference(**given))
    with torch.no_grad():
        assert networks.sqnr_db(model(**given).numpy(), results.numpy()) > 25


def test_fake_quantize_takes_them_by_name_in_any_number(encoder):
    _, _, given = encoder
    data = [batch(2, 9) for _ in range(3)]
    module = tvm_vsq.fake_quantize(
        Encoder("sdpa"), quant="8/8/-/-", target=TARGET, example_inputs=given, calibration=data
    )
    many = batch(3, 9)
    whole = module(**many)
    assert whole[0].shape == (3, 9, 32)
    assert torch.equal(module(many["input_ids"][:2], many["attention_mask"][:2])[0], whole[0][:2])
    with pytest.raises(tvm_vsq.VsqError, match="'input_ids' holds 77"):
        module(many["input_ids"] * 0 + 77, many["attention_mask"])


@pytest.mark.parametrize(
    ("data", "message"),
    first_of(
        [
            ({"input_ids": batch(2, 5)["input_ids"]}, r"calibration\[0\] lacks 'attention_mask'"),
            (batch(2, 5) | {"labels": torch.zeros(2)}, r"calibration\[0\] holds 'labels', which the model"),
            (batch(2, 5) | {"input_ids": torch.full((2, 5), 50)}, r"input 'input_ids': holds 50 at \[0, 0\]"),
            (batch(2, 5) | {"input_ids": torch.rand(2, 5)}, "dtype float32 is not int64"),
        ],
        2,
    ),
)
def test_calibration_data_that_do_not_fit(data, message):
    with pytest.raises(tvm_vsq.VsqError, match=message):
        tvm_vsq.quantize_model(Encoder(), TARGET, example_inputs=batch(2, 5), calibration=data)


class OneField(torch.nn.Module):
    """What it returns is a tensor in a tuple, a list, or a mapping that torch knows."""

    def __init__(self, made: Any) -> None:
        super().__init__()
        self.made, self.linear = made, torch.nn.Linear(16, 8)

    def forward(self, x: torch.Tensor) -> Any:
        return self.made(self.linear(x))


def test_a_tuple_of_one_result_is_a_tuple(tmp_path):
    x = torch.randn(4, 16)
    for made, kind in ((lambda y: (y,), tuple), (lambda y: [y], tuple), (lambda y: y, torch.Tensor)):
        model = OneField(made).eval()
        network = tvm_vsq.fake_quantize(
            model, quant="4/4/4/4", example_inputs=x, calibration=torch.randn(32, 16)
        )
        exe = tvm_vsq.compile(network, network.hardware)
        exe.save(tmp_path / "net.so")
        again = tvm_vsq.load(tmp_path / "net.so")
        results = (
            network(x),
            exe(x),
            exe.reference(x),
            again(x),
            exe.profile(x).outputs,
            exe.run_batch(torch.cat([x, x])),
        )
        assert [type(each) for each in results] == [kind] * len(results)
        assert _equal(results[0], results[1])
        assert isinstance(exe(x.numpy()), np.ndarray) == (kind is torch.Tensor)
