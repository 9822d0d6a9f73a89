"""Splits, shuffles, flips, repeats and borders are slices, concats and orders of channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from onnx.reference import ReferenceEvaluator
from tests.canonical import LAYERS, MOVES, between, imported, operators, through_onnx
from tests.seeds import first_of
from torch import nn
from tvm import relax

import tvm_vsq
from tvm_vsq.frontend.selections import selections_to_takes
from tvm_vsq.frontend.sink_moves import sink_moves
from tvm_vsq.frontend.takes import takes_to_slices
from tvm_vsq.graph import bindings, constant, constant_array, op_name

op = relax.op


class Between(nn.Module):
    """`move` between two convolutions, the first with ReLU behind the move."""

    def __init__(self, move: Any, channels: int = 8, after: int = 8) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, channels, 1), nn.Conv2d(after, 4, 3, padding=1)
        self.move = move

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.move(self.first(x))))


def shuffle(groups: int) -> Any:
    """As ShuffleNet's authors write it."""

    def shuffled(x: torch.Tensor) -> torch.Tensor:
        n, c, h, w = x.shape
        return x.view(n, groups, c // groups, h, w).transpose(1, 2).contiguous().view(n, c, h, w)

    return shuffled


CHANNELS: dict[str, tuple[Any, int, list[str]]] = {
    "a half": (lambda x: x.chunk(2, 1)[1], 4, ["strided_slice"]),
    "parts in another order": (
        lambda x: torch.cat(torch.split(x, [3, 5], 1)[::-1], 1),
        8,
        ["strided_slice", "strided_slice", "concat"],
    ),
    "a shuffle": (shuffle(2), 8, ["take"]),
    "a shuffle of torch": (nn.ChannelShuffle(4), 8, ["take"]),
    "half of a shuffle": (lambda x: shuffle(2)(x).chunk(2, 1)[0], 4, ["take"]),
    "a shuffle and back": (lambda x: shuffle(4)(shuffle(2)(x)), 8, []),
    "from the last to the first": (lambda x: x.flip(1), 8, ["take"]),
    "some": (lambda x: x[:, [1, 0, 5]], 3, ["take"]),
    "every other": (lambda x: x.index_select(1, torch.tensor([1, 3, 5])), 3, ["strided_slice"]),
}
ROWS: dict[str, Any] = {
    "nearest": lambda x: F.interpolate(x, scale_factor=2),
    "nearest, rows alone": lambda x: F.interpolate(x, scale_factor=(3, 1)),
    "nearest, exact": lambda x: F.interpolate(x, scale_factor=(2, 3), mode="nearest-exact"),
    "nearest, by no integer": lambda x: F.interpolate(x, size=(9, 4)),
    "reflected": nn.ReflectionPad2d((1, 2, 0, 3)),
    "replicated": nn.ReplicationPad2d(2),
    "round and round": nn.CircularPad2d((1, 2, 3, 0)),
    "cropped by a pad": lambda x: F.pad(x, (-1, -1, 0, -2)),
    "cropped": lambda x: x[:, :, 1:, 1:-1],
    "every other row": lambda x: x[:, :, ::2],
    "upside down": lambda x: x.flip(2),
}


@pytest.mark.parametrize("case", first_of(CHANNELS, 2))
def test_channels_between_layers(case):
    move, after, expected = CHANNELS[case]
    module = imported(Between(move, after=after), torch.randn(2, 3, 6, 5))
    assert [name for name in between(module) if name in MOVES] == expected
    assert set(between(module)) <= LAYERS | MOVES


@pytest.mark.parametrize("case", first_of(ROWS, 3))
def test_rows_and_columns_between_layers(case):
    module = imported(Between(ROWS[case]), torch.randn(2, 3, 6, 5))
    found = between(module)
    assert set(found) <= LAYERS | (MOVES - {"take"})
    moved = [name for name in found if name in MOVES]
    first = min(found.index(name) for name in set(moved))
    assert found[:first] == ["nn.conv2d", "add", "nn.relu"]  # in the layer that is moved


@pytest.mark.parametrize("case", ["a half", "a shuffle", "parts in another order"])
def test_channels_of_onnx_models(case):
    move, after, expected = CHANNELS[case]
    module = through_onnx(Between(move, after=after), torch.randn(2, 3, 6, 5))
    assert [name for name in between(module) if name in MOVES] == expected


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_borders_of_relax(networks, relax_functions, mode):
    module = relax_functions.function(
        lambda emit, x: op.nn.pad(x, [0, 0, 1, 2, 2, 1, 0, 0], mode), (2, 4, 5, 3)
    )
    found = relax_functions.after(selections_to_takes, module, networks.run_tvm)
    assert found == ["take", "take"]


def test_a_border_that_crops_one_side_and_adds_zeros_to_the_other(networks, relax_functions):
    module = relax_functions.function(
        lambda emit, x: op.nn.pad(x, [0, 0, -1, 2, 0, -1, 0, 0], "constant", 0.5), (2, 4, 5, 3)
    )
    found = relax_functions.after(selections_to_takes, module, networks.run_tvm)
    assert found == ["strided_slice", "nn.pad"]


@pytest.mark.parametrize("factors", [2, (3, 1)])
def test_nearest_upsampling_of_onnx_models(factors):
    module = through_onnx(Between(nn.Upsample(scale_factor=factors)), torch.randn(2, 3, 6, 5))
    assert set(between(module)) <= LAYERS | (MOVES - {"take"})


@pytest.mark.parametrize(
    ("axis", "begin", "end", "step"),
    [(3, -1, -100, -1), (2, 100, -(2**63), -2), (2, 4, 0, -1), (3, 3, -100, -3)],
)
def test_a_slice_that_goes_backwards_stays_what_it_was(onnx_models, axis, begin, end, step):
    """When tensors are aligned with vectors, too: the end in front of the first one has no number."""
    node, rng = onnx_models.node, np.random.default_rng(0)
    constants = {
        "w": rng.standard_normal((8, 3, 1, 1), np.float32),
        "v": rng.standard_normal((4, 8, 1, 1), np.float32),
        **{name: np.array([number]) for name, number in zip("beas", (begin, end, axis, step), strict=True)},
    }
    nodes = [node("Conv", ["x", "w"], "c"), node("Slice", ["c", *"beas"], "d"), node("Conv", ["d", "v"], "y")]
    model = onnx_models.model(nodes, constants, [1, 3, 6, 5], rank=4)
    x = rng.standard_normal((16, 3, 6, 5), np.float32)
    exe = tvm_vsq.compile(model, "vsq-accel-int8", calibration=x)
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x[:1]})
    assert np.square(exe(x[:1]) - expected).sum() < 1e-3 * np.square(expected).sum()


def test_a_shuffle_of_sequences_is_one_of_images():
    def shuffled(x: torch.Tensor) -> torch.Tensor:
        return x.view(2, 2, 4, -1).transpose(1, 2).reshape(2, 8, -1)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Conv1d(3, 8, 3), nn.Conv1d(8, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(shuffled(self.first(x)))

    assert set(between(imported(Net(), torch.randn(2, 3, 9)))) <= LAYERS | MOVES


def test_what_permutes_two_axes_is_no_shuffle():
    """Depth to space takes elements of channels to other places."""
    found = operators(
        imported(nn.Sequential(nn.Conv2d(3, 8, 1), nn.PixelShuffle(2)), torch.randn(2, 3, 4, 6))
    )
    assert "take" not in found


X = (2, 6, 5, 4)
TAKES: dict[str, tuple[Any, list[str]]] = {
    "one of one": (lambda emit, x: take(emit(take(x, [3, 1, 2], 3)), [0, 2], 3), ["take"]),
    "a slice of one": (
        lambda emit, x: op.strided_slice(emit(take(x, [3, 1, 2, 0], 3)), [3], [1], [3]),
        ["strided_slice"],
    ),
    "one that takes all": (lambda emit, x: op.abs(emit(take(x, [0, 1, 2, 3], 3))), ["abs"]),
    "on axes of their own": (lambda emit, x: take(emit(take(x, [2, 0], 3)), [1, 0], 1), 2),
    "of many pieces": (lambda emit, x: take(x, [n % 3 * 2 for n in range(30)][::-1], 1), ["take"]),
    "of the batch": (lambda emit, x: take(x, [1, 0], 0), ["take"]),
}


def take(x: Any, indices: list[int], axis: int) -> Any:
    return op.take(x, constant(np.array(indices)), axis=axis, mode="clip")


@pytest.mark.parametrize("case", TAKES)
def test_takes_of_constants(networks, relax_functions, case):
    body, expected = TAKES[case]
    found = relax_functions.after(takes_to_slices, relax_functions.function(body, X), networks.run_tvm)
    if isinstance(expected, int):
        assert found == ["take", "strided_slice", "strided_slice", "concat"]
    else:
        assert found == expected


def joined(emit: Any, x: Any, y: Any, axis: int = 3) -> Any:
    return emit(op.concat([emit(op.abs(x)), emit(op.exp(y))], axis))


SINKS: dict[str, tuple[Any, list[str]]] = {
    "of one tensor, behind channels": (
        lambda emit, x, y: op.nn.relu(joined(emit, x, y)),
        ["abs", "exp", "nn.relu", "nn.relu", "concat"],
    ),
    "of a constant for each channel": (
        lambda emit, x, y: op.add(joined(emit, x, y), constant(np.arange(8, dtype=np.float32))),
        ["abs", "exp", "add", "add", "concat"],
    ),
    "of a constant, behind an order": (
        lambda emit, x, y: op.subtract(
            constant(np.arange(8, dtype=np.float32).reshape(1, 1, 8)),
            emit(take(joined(emit, x, y), [4, 0, 5, 1, 6, 2, 7, 3], 3)),
        ),
        ["abs", "exp", "subtract", "subtract", "concat", "take"],
    ),
    "of a number, behind rows": (
        lambda emit, x, y: op.multiply(joined(emit, x, y, 1), relax.const(2.0)),
        ["abs", "exp", "multiply", "multiply", "concat"],
    ),
}
STAYS: dict[str, Any] = {
    "a constant for each row": lambda emit, x, y: op.add(
        joined(emit, x, y, 1), constant(np.ones((12, 1, 1), np.float32))
    ),
    "channels that are read elsewhere": lambda emit, x, y: op.add(
        emit(op.nn.relu(emit(op.concat([x, x], 3)))), emit(op.concat([x, x], 3))
    ),
    "a constant, behind some of the channels": lambda emit, x, y: op.add(
        emit(take(joined(emit, x, y), [1, 7, 2], 3)), constant(np.ones(3, np.float32))
    ),
}


@pytest.mark.parametrize("case", SINKS)
def test_an_operator_moves_before_moves(networks, relax_functions, case):
    body, expected = SINKS[case]
    module = relax_functions.function(body, X, X)
    assert relax_functions.after(sink_moves, module, networks.run_tvm) == expected


@pytest.mark.parametrize("case", STAYS)
def test_an_operator_stays_behind_moves(networks, relax_functions, case):
    module = relax_functions.function(STAYS[case], X, X)
    assert relax_functions.after(sink_moves, module, networks.run_tvm) == relax_functions.operators(module)


def test_a_tensor_that_is_repeated_goes_through_the_operator_once(networks, relax_functions):
    def body(emit: Any, x: Any) -> Any:
        y = emit(op.abs(x))
        return op.nn.relu(emit(op.concat([y, y, y], 1)))

    module = relax_functions.function(body, X)
    assert relax_functions.after(sink_moves, module, networks.run_tvm) == ["abs", "nn.relu", "concat"]


def test_the_order_of_a_shuffle_is_that_of_the_model():
    module = imported(Between(shuffle(2)), torch.randn(1, 3, 4, 4))
    (found,) = (b.value for b in bindings(module["main"]) if op_name(b.value) == "relax.take")
    assert constant_array(found.args[1]).tolist() == [0, 4, 1, 5, 2, 6, 3, 7]
