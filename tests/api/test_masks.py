"""Masks in the spellings that are usual in torch: whole on the chip, and what they hide is as in torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tests.seeds import first_of, one_of
from torch import nn
from torch.nn import functional as F

import tvm_vsq
from tvm_vsq.errors import ModelError, QuantizationError

T, WIDTH, HEADS = 9, 32, 2
INF, LEAST = float("inf"), torch.finfo(torch.float32).min
PASSES = torch.ones(T, T, dtype=torch.bool).tril()
LEAST_DB = 22


class Masked(nn.Module):
    """Attention whose scores `hide` hides; mask: a constant one, else it is an input."""

    def __init__(
        self, hide: Callable[..., Any], mask: torch.Tensor | None = None, heads: int = HEADS
    ) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.hide, self.heads = hide, heads
        self.register_buffer("mask", mask)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        q, k, v = (
            layer(x).view(*x.shape[:2], self.heads, -1).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        y = self.hide(q, k, v, mask if self.mask is None else self.mask)
        return self.out(y.transpose(1, 2).reshape(x.shape))


def eager(hidden: Callable[..., Any]) -> Callable[..., Any]:
    def attend(q: Any, k: Any, v: Any, mask: Any) -> Any:
        scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
        return torch.softmax(hidden(scores, mask), -1) @ v

    return attend


sdpa = F.scaled_dot_product_attention
added = eager(lambda s, mask: s + mask)
filled = eager(lambda s, mask: s.masked_fill(~mask, -1e9))
filled_inf = eager(lambda s, mask: s.masked_fill(mask == 0, -INF))
chosen = eager(lambda s, mask: torch.where(mask, s, torch.finfo(s.dtype).min))


def causal_in_place(s: Any, _mask: Any) -> Any:
    return s + torch.full((T, T), -INF).triu(1)


def twice(s: Any, mask: Any) -> Any:
    return s.masked_fill(~PASSES, LEAST) + torch.where(mask, 0.0, LEAST)


def numbers(low: float, passes: torch.Tensor = PASSES) -> torch.Tensor:
    return torch.where(passes, 0.0, low)


CONSTANT = {
    "sdpa of bool [T, T]": (sdpa, PASSES),
    "sdpa of -inf [T, T]": (sdpa, numbers(-INF)),
    "sdpa of -1e9 [1, 1, T, T]": (sdpa, numbers(-1e9)[None, None]),
    "sdpa, is_causal": (lambda q, k, v, _mask: sdpa(q, k, v, is_causal=True), None),
    "added -inf": (added, numbers(-INF)),
    "added -1e4": (added, numbers(-1e4)),
    "added, made in forward": (eager(causal_in_place), None),
    "masked_fill -1e9": (filled, PASSES),
    "masked_fill -inf of a longer buffer": (
        eager(lambda s, mask: s.masked_fill(mask[:, :, :T, :T] == 0, -INF)),
        torch.ones(1, 1, 2 * T, 2 * T).tril(),
    ),
    "where": (chosen, PASSES),
}
INPUT = {
    "sdpa of bool": (sdpa, None),
    "sdpa of -inf": (sdpa, -INF),
    "sdpa of -1e9": (sdpa, -1e9),
    "sdpa of the least number": (sdpa, LEAST),
    "added -1e9": (added, -1e9),
    "added, truth values times -1e9": (eager(lambda s, mask: s + ~mask * -1e9), None),
    "masked_fill -1e9": (filled, None),
    "where": (chosen, None),
    "two at once": (eager(twice), None),
}
"""What hides, in which numbers, None for truth values: all as torch has rows that are hidden as a whole."""


def compiled(model: nn.Module, data: list[Any]) -> tuple[nn.Module, Any]:
    network = tvm_vsq.fake_quantize(
        model.eval(), quant="8/8/-/-", target="vsq-accel-int8", example_inputs=data[0], calibration=data
    )
    return network, tvm_vsq.compile(network, network.hardware, strict=True)


def agree(networks: Any, model: nn.Module, network: nn.Module, exe: Any, given: Any) -> None:
    result = exe(*given)
    with torch.no_grad():
        assert torch.equal(result, network(*given))
        expected = model(*given)
    assert np.array_equal(result.numpy(), exe.reference(*given).numpy())
    assert networks.sqnr_db(expected.numpy(), result.numpy()) > LEAST_DB


@pytest.mark.parametrize("rows", [1, pytest.param(3, marks=pytest.mark.large)])
@pytest.mark.parametrize("form", one_of(CONSTANT))
def test_constant_masks(networks, form, rows):
    torch.manual_seed(0)
    model, data = Masked(*CONSTANT[form]), [(torch.randn(rows, T, WIDTH),) for _ in range(16)]
    network, exe = compiled(model, data)
    agree(networks, model, network, exe, (torch.randn(rows, T, WIDTH),))


def passing(rows: int, *axes: int) -> torch.Tensor:
    """A mask that leaves something of each row."""
    mask = torch.rand(rows, *axes, T) > 0.4
    mask[..., 0] = True
    return mask


@pytest.mark.parametrize("rows", [1, pytest.param(3, marks=pytest.mark.large)])
@pytest.mark.parametrize("form", first_of(INPUT, 3))
def test_masks_that_are_inputs(networks, form, rows):
    torch.manual_seed(0)
    attend, low = INPUT[form]

    def sample(is_open: bool = False) -> Any:
        mask = passing(rows, 1, T)
        if not is_open:
            mask[-1, :, -1] = False  # a row that is hidden as a whole
        return torch.randn(rows, T, WIDTH), mask if low is None else numbers(low, mask)

    model, data = Masked(attend), [sample() for _ in range(16)]
    network, exe = compiled(model, data)
    agree(networks, model, network, exe, sample())
    agree(networks, model, network, exe, sample(is_open=True))


@pytest.mark.parametrize("low", first_of([-INF, -1e9, LEAST], 2))
def test_a_row_that_is_hidden_as_a_whole_is_what_torch_has_for_these_numbers(low):
    """Zeros for minus infinity, and the mean of the values for numbers."""
    torch.manual_seed(0)
    model = Masked(sdpa).eval()
    with torch.no_grad():
        model.out.weight.copy_(torch.eye(WIDTH))
        model.out.bias.zero_()

    def sample() -> Any:
        mask = passing(2, 1, T)
        mask[1, :, 3] = False
        return torch.randn(2, T, WIDTH), numbers(low, mask)

    data = [sample() for _ in range(16)]
    _, exe = compiled(model, data)
    x, mask = sample()
    row = exe(x, mask)[1, 3]
    with torch.no_grad():
        expected = model(x, mask)[1, 3]
    assert bool(row.abs().max() > 0.05) == (low != -INF)
    torch.testing.assert_close(row, expected, atol=0.03, rtol=0)


@pytest.mark.parametrize(
    ("mask", "shape"),
    first_of([(-INF, (2, 1, 1, T)), (-INF, (T, T)), (-INF, (2, HEADS, T, T)), (None, (T, T))], 1),
)
def test_masks_of_any_number_of_axes(networks, mask, shape):
    torch.manual_seed(0)

    def sample() -> Any:
        passes = passing(*shape[:-1])
        return torch.randn(2, T, WIDTH), passes if mask is None else numbers(mask, passes)

    model, data = Masked(sdpa), [sample() for _ in range(16)]
    network, exe = compiled(model, data)
    agree(networks, model, network, exe, sample())


@pytest.mark.parametrize("hide", [added, filled_inf])
def test_minus_infinity_in_inputs(networks, hide):
    torch.manual_seed(0)

    def sample() -> Any:
        mask = passing(2, 1, T)
        return torch.randn(2, T, WIDTH), numbers(-INF, mask) if hide is added else mask.float()

    model, data = Masked(hide), [sample() for _ in range(16)]
    network, exe = compiled(model, data)
    agree(networks, model, network, exe, sample())


class Causal(nn.Module):
    """torch's own encoder with a causal mask and one of padding, both of truth values or of numbers."""

    def __init__(self, is_bool: bool) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 48, batch_first=True)
        self.layers, self.is_bool = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False), is_bool

    def forward(self, x: torch.Tensor, hidden: torch.Tensor | None = None) -> torch.Tensor:
        mask = ~PASSES if self.is_bool else nn.Transformer.generate_square_subsequent_mask(T)
        return self.layers(x, mask=mask, is_causal=hidden is None, src_key_padding_mask=hidden)


@pytest.mark.large
@pytest.mark.parametrize(("is_bool", "padded"), [(True, True), (False, True), (False, False)])
def test_torchs_encoder_with_a_causal_mask(networks, is_bool, padded):
    torch.manual_seed(0)

    def sample() -> Any:
        x, hidden = torch.randn(3, T, WIDTH), torch.arange(T) >= torch.tensor([[T], [5], [1]])
        hidden = hidden if is_bool else numbers(-INF, ~hidden)
        return (x, hidden) if padded else (x,)

    model, data = Causal(is_bool), [sample() for _ in range(16)]
    network, exe = compiled(model, data)
    agree(networks, model, network, exe, sample())


def test_only_masks_may_be_minus_infinity():
    x, mask = torch.randn(1, T, WIDTH), numbers(-INF)[None, None]
    model = Masked(sdpa).eval()
    network = tvm_vsq.fake_quantize(
        model, quant="4/4/4/4", example_inputs=(x, mask), calibration=[(x, mask)] * 2
    )
    exe = tvm_vsq.compile(network, network.hardware)
    wrong = x.clone()
    wrong[0, 0, 0] = -INF
    for run in (exe, network):
        with pytest.raises(tvm_vsq.errors.InputError, match="'x' contains NaN or infinity"):
            run(wrong, mask)
        with pytest.raises(tvm_vsq.errors.InputError, match="'mask' contains NaN or infinity"):
            run(x, -mask)
    with pytest.raises(tvm_vsq.errors.CalibrationError, match="input 'x': holds NaN or infinite"):
        tvm_vsq.fake_quantize(model, quant="4/4/4/4", example_inputs=(x, mask), calibration=[(wrong, mask)])


def test_a_constant_mask_that_hides_a_whole_row_is_an_error():
    mask = numbers(-INF)
    mask[3] = -INF
    with pytest.raises(ModelError, match=r"is minus infinity in all of row \[0, 0, 3\]"):
        tvm_vsq.fake_quantize(
            Masked(added, mask).eval(),
            quant="4/4/4/4",
            example_inputs=(torch.randn(1, T, WIDTH),),
            calibration=[],
        )


def test_masks_that_hide_a_row_only_together_are_named():
    """As of a prompt that is padded in front: its first token sees itself alone, and is padding. Of what is
    behind it, one hides the words, and both the other padding.
    """

    def hide(s: Any, mask: Any) -> Any:
        return s.masked_fill(~PASSES, -1e9) + torch.where(mask, 0.0, -1e9)

    mask = torch.ones(1, 1, 1, T, dtype=torch.bool)
    mask[..., :2] = False
    with pytest.raises(ModelError, match=r"after the pass 'masks_to_sums'.*only together.*logical_and"):
        tvm_vsq.fake_quantize(
            Masked(eager(hide)).eval(),
            quant="4/4/4/4",
            example_inputs=(torch.randn(1, T, WIDTH), mask),
            calibration=[],
        )


def test_examples_for_which_the_model_itself_is_nan_are_an_error():
    x, mask = torch.randn(1, T, WIDTH), passing(1, 1, T)
    mask[0, 0, 4] = False
    with pytest.raises(ModelError, match=r"result 0 of .* is NaN at \[0, 4, 0\] for its example inputs"):
        tvm_vsq.fake_quantize(
            Masked(filled_inf).eval(), quant="4/4/4/4", example_inputs=(x, mask.float()), calibration=[]
        )


@pytest.mark.parametrize(("bits", "fits"), [(29, False), (30, True)])
def test_accumulators_hold_what_hides_scores(networks, bits, fits):
    torch.manual_seed(0)
    fields = tvm_vsq.load_hardware("vsq-accel-int8").model_dump() | {"accumulator_bits": bits}
    hardware = tvm_vsq.hardware.HardwareConfig.checked(fields, "test")
    model, data = Masked(sdpa, PASSES).eval(), [(torch.randn(1, T, WIDTH),) for _ in range(16)]
    network = tvm_vsq.fake_quantize(
        model, quant="8/8/-/-", target=hardware, example_inputs=data[0], calibration=data
    )
    if not fits:
        with pytest.raises(QuantizationError, match=r"'softmax_0' hides .* 30 bits.*accumulator_bits=29"):
            tvm_vsq.compile(network, hardware, strict=True)
    else:
        agree(networks, model, network, tvm_vsq.compile(network, hardware, strict=True), data[0])
