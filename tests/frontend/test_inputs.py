"""What inputs may be: dtypes, names, indices that are checked, half precision."""

from __future__ import annotations

from collections import UserDict
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from tests.seeds import first_of, one_of
from tests.transformers_models import Encoder, batch, calls, same_as_torch
from torch import nn

from tvm_vsq.arguments import in_order, outside
from tvm_vsq.errors import InputError, ModelError
from tvm_vsq.frontend import import_model
from tvm_vsq.importing import import_checked, import_note
from tvm_vsq.network.inputs import inputs_of


class Lookup(nn.Module):
    def __init__(self, index: Any = None) -> None:
        super().__init__()
        self.table, self.linear = nn.Embedding(7, 4), nn.Linear(4, 3)
        self.index = index

    def forward(self, ids: torch.Tensor, offset: torch.Tensor | None = None) -> torch.Tensor:
        x = self.table(ids) if self.index is None else self.table.weight[self.index(ids)]
        return self.linear(x if offset is None else x + offset)


IDS = torch.tensor([[1, 6, 0]])


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_token_ids_have_the_range_of_their_table(dtype):
    module = same_as_torch(Lookup(), (IDS.to(dtype),))
    (found,) = inputs_of(module["main"])
    assert (found.dtype, found.shape, found.range) == (str(dtype).removeprefix("torch."), (1, 3), (0, 6))
    samples = np.stack([found.sample(seed) for seed in range(20)])
    assert (samples.min(), samples.max()) == (0, 6)


def test_ids_that_may_count_from_the_end():
    module = same_as_torch(
        Lookup(lambda ids: torch.where(ids < 0, ids + 7, ids)), (torch.tensor([[-1, 6, 0]]),)
    )
    assert inputs_of(module["main"])[0].range == (-7, 6)
    assert inputs_of(same_as_torch(Lookup(lambda ids: ids.T), (IDS,))["main"])[0].range in ((0, 6), (-7, 6))


def test_an_input_of_two_tables_is_an_index_of_both():
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.large, self.small = nn.Embedding(9, 4), nn.Embedding(5, 4)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.large(ids) + self.small(ids.flip(1))

    assert inputs_of(same_as_torch(Two(), (torch.tensor([[1, 4, 0]]),))["main"])[0].range == (0, 4)


def test_an_index_that_is_computed_is_refused():
    with pytest.raises(ModelError, match="'take' takes indices that are computed from the inputs"):
        import_model(Lookup(lambda ids: ids + 1), (torch.tensor([[1, 2]]),))


@pytest.mark.parametrize("limited", [lambda ids: (ids + 1).clamp(0, 6), lambda ids: ids.clamp(min=1, max=3)])
def test_an_index_that_the_model_limits_is_taken_as_it_limits_it(limited):
    ids = torch.tensor([[1, 25, -7]])
    module = same_as_torch(Lookup(limited), (ids,))
    assert inputs_of(module["main"])[0].range is None


@pytest.mark.parametrize("limited", [lambda ids: (ids + 1).clamp(0, 7), lambda ids: (ids + 1).clamp(max=6)])
def test_an_index_that_is_limited_to_more_than_the_table_is_refused(limited):
    with pytest.raises(ModelError, match="'take' takes indices that are computed from the inputs"):
        import_model(Lookup(limited), (torch.tensor([[1, 2]]),))


@pytest.mark.parametrize("dtype", first_of([torch.bool, torch.int64, torch.int32, torch.float32], 2))
def test_a_mask_may_be_of_any_dtype(dtype):
    given = {"input_ids": batch(2, 5)["input_ids"], "attention_mask": batch(2, 5)["attention_mask"].to(dtype)}
    module = same_as_torch(Encoder("sdpa"), given)
    assert [each.range for each in inputs_of(module["main"])] == [(0, 49), None]


def test_inputs_by_name_come_in_the_order_of_forward():
    offset = torch.randn(4)
    for given in ({"offset": offset, "ids": IDS}, UserDict(offset=offset, ids=IDS)):
        module = import_checked(Lookup(), given)
        assert [each.name for each in inputs_of(module["main"])] == ["ids", "offset"]
        assert "its example inputs" in import_note(module)


def test_a_program_with_keywords_and_examples_by_name():
    program = torch.export.export(Lookup().eval(), (IDS,), {"offset": torch.randn(4)})
    for examples in (None, {"offset": torch.randn(4), "ids": IDS}):
        assert "its example inputs" in import_note(import_checked(program, examples))
    with pytest.raises(ModelError, match="example_inputs lacks 'offset' and holds 'other', which the model"):
        import_checked(program, {"ids": IDS, "other": IDS})


def test_examples_that_are_no_indices_or_no_tensors():
    program = torch.export.export(Lookup().eval(), (IDS,))
    with pytest.raises(
        ModelError, match=r"example_inputs\[0\], input 'ids', holds 7 at \[0, 1\], .*give 0 to 6"
    ):
        import_checked(program, (torch.tensor([[0, 7, 8]]),))
    with pytest.raises(
        ModelError, match=r"example_inputs\[0\] is float32, but input 'ids' is int64; convert"
    ):
        import_checked(program, (torch.tensor([[0.0, 0.5, 1.0]]),))
    with pytest.raises(ModelError, match=r"example_inputs\['flag'\] must be a tensor, not bool True"):
        import_checked(Lookup(), {"ids": IDS, "flag": True})


def test_examples_of_zeros_stand_for_a_shape():
    program = torch.export.export(Lookup().eval(), (IDS,))
    assert "random inputs" in import_note(import_checked(program, np.zeros((1, 3), np.float32)))


def test_outside_names_the_first_value():
    assert outside(np.array([0, 6]), (0, 6)) == outside(np.array([99]), None) == ""
    assert "holds -1 at [1, 0]" in outside(np.array([[0, 2], [-1, 9]]), (0, 6))
    assert outside(np.array(8), (0, 6)).startswith("holds 8, which")


def test_arguments_of_a_call():
    names = ["a", "b"]
    for args, named in (((1, 2), {}), ((1,), {"b": 2}), ((), {"b": 2, "a": 1}), (({"b": 2, "a": 1},), {})):
        assert in_order(args, named, names, InputError) == (1, 2)
    with pytest.raises(InputError, match="input 'a' is given twice"):
        in_order((1,), {"a": 2}, names, InputError)
    with pytest.raises(InputError, match="the call lacks 'b'; the inputs are a, b"):
        in_order(({"a": 1},), {}, names, InputError)
    with pytest.raises(InputError, match="the call lacks 'a' and holds 'c', which the model does not take"):
        in_order((), {"b": 1, "c": 2}, names, InputError)


@pytest.mark.parametrize("dtype", one_of([torch.float16, torch.bfloat16]))
def test_a_torch_model_in_half_precision_is_its_numbers_in_fp32(dtype):
    half = Encoder("sdpa").to(dtype).eval()
    given = batch(2, 5)
    wide = Encoder("sdpa").eval()
    wide.load_state_dict({name: tensor.float() for name, tensor in half.state_dict().items()})
    for model in (half, torch.export.export(half, (), given)):
        module = import_checked(model, given)
        assert "in fp32 on its example inputs" in import_note(module)
        (first, *_), (expected, *_) = _run(module, given), wide(**given)
        np.testing.assert_allclose(first, expected.detach().numpy(), rtol=0, atol=2e-5)
    assert half.tokens.weight.dtype == dtype


def _run(module: Any, given: dict[str, torch.Tensor]) -> list[np.ndarray]:
    from tvm_vsq.importing.run import results_of

    return results_of(module, [tensor.numpy() for tensor in given.values()])


def test_inputs_in_half_precision_are_float32():
    module = import_model(nn.Linear(3, 2).half(), torch.randn(1, 3).half())
    assert [each.dtype for each in inputs_of(module["main"])] == ["float32"]


def test_an_onnx_model_in_half_precision(onnx_models, tmp_path):
    weights = np.random.default_rng(0).standard_normal((3, 2)).astype(np.float16)
    nodes = [
        onnx_models.node("MatMul", ["x", "w"], "z"),
        onnx_models.node("Cast", ["z"], "wide", to=onnx.TensorProto.FLOAT),
        onnx_models.node("Cast", ["wide"], "y", to=onnx.TensorProto.FLOAT16),
    ]
    model = onnx_models.model(nodes, {"w": weights}, [1, 3])
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    module = import_checked(model)
    assert "the ONNX model in fp32 on random inputs" in import_note(module)
    x = np.ones((1, 3), np.float32)
    (found,) = _run(module, {"x": torch.from_numpy(x)})
    np.testing.assert_allclose(found, x @ weights.astype(np.float32), rtol=1e-6)


def test_token_ids_of_onnx(onnx_models):
    node = onnx_models.node("Gather", ["table", "x"], "y")
    model = onnx_models.model([node], {"table": np.ones((7, 4), np.float32)}, [1, 3])
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    module = import_checked(model, {"x": np.array([[1, -1, 0]])})
    assert inputs_of(module["main"])[0].range == (-7, 6)


def test_results_of_a_dataclass():
    from dataclasses import dataclass

    from torch.export import register_dataclass

    @dataclass
    class Both:
        first: torch.Tensor
        second: torch.Tensor

    register_dataclass(Both, serialized_type_name="tests.Both")

    class Model(nn.Module):
        def forward(self, x: torch.Tensor) -> Both:
            return Both(x + 1, x * 2)

    same_as_torch(Model(), (torch.randn(2, 3),))


def test_numbers_beside_integers_and_truth_values_have_the_type_that_torch_gives_them():
    class Promoted(nn.Module):
        def forward(self, ids: torch.Tensor) -> tuple[torch.Tensor, ...]:
            is_large = ids > 2.5
            return (
                *(~is_large * -1e9, is_large * 3, is_large + 1.5, (is_large > 0.5) * 2.0),
                *(ids * 0.5, ids + 1.5, ids - 0.5, 1.0 - ids, ids**0.5, is_large**2, 2**ids),
                *(ids == 1.5, ids != 4.5, ids < 4.5, ids <= 3.5, ids > 3.5, ids >= 4.5),
                *(ids % 2.5, ids // 2, ids // 2.0, torch.exp(-ids), torch.sigmoid(is_large), torch.sin(ids)),
            )

    same_as_torch(Promoted(), (torch.tensor([[5, 6, 1], [4, 3, 6]]),), tolerance=1e-6)


REDUCTIONS = {
    "running sum": lambda ids: torch.cumsum(ids > 2, -1),
    "running product": lambda ids: torch.cumprod(ids.to(torch.int32), 0),
    "running sum in fp32": lambda ids: torch.cumsum(ids > 2, -1, dtype=torch.float32),
    "running sum in few bits": lambda ids: torch.cumsum(ids * 2**30, -1, dtype=torch.int32),
    "product": lambda ids: torch.prod(torch.where(ids > 2, 64, 256).to(torch.int32)),
    "of a constant": lambda ids: ids + torch.cumsum(torch.arange(3) > 0, 0),
}


@pytest.mark.parametrize("name", first_of(REDUCTIONS, 3))
def test_integers_are_accumulated_in_64_bits(name):
    class Reduced(nn.Module):
        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return REDUCTIONS[name](ids)

    ids = torch.tensor([[5, 6, 1], [4, 3, 6]])
    module = same_as_torch(Reduced(), (ids,), tolerance=0)
    assert name != "of a constant" or not calls(module, "cumsum")
