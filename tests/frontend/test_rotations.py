"""Rotary embeddings, however a model spells them: one operator on rows, and the same function."""

from __future__ import annotations

import pytest
import torch
from tests.seeds import one_of
from torch import nn

from tvm_vsq.graph import bindings, op_name
from tvm_vsq.importing import import_checked

B, L, HEADS, SIZE = 2, 5, 3, 8


def angles(length=L):
    return torch.outer(torch.arange(length), 10.0 ** -(torch.arange(SIZE // 2) / 4))


class Rotary(nn.Module):
    """A linear layer, heads, and a rotation of these: `spell` says how."""

    def __init__(self, spell, transposed=True):
        super().__init__()
        self.linear = nn.Linear(6, HEADS * SIZE)
        self.spell, self.transposed = spell, transposed
        self.register_buffer("cos", angles(16).cos())
        self.register_buffer("sin", angles(16).sin())

    def forward(self, x, positions=None):
        heads = self.linear(x).view(B, L, HEADS, SIZE)
        cos, sin = (
            each[torch.arange(L) if positions is None else positions] for each in (self.cos, self.sin)
        )
        if self.transposed:
            return self.spell(heads.transpose(1, 2), cos, sin)
        return self.spell(heads, cos[:, None], sin[:, None])


def rotate_half(x):
    a, b = x[..., : SIZE // 2], x[..., SIZE // 2 :]
    return torch.cat((-b, a), dim=-1)


def exchanged(x, cos, sin):
    """As Hugging Face writes it."""
    cos, sin = (torch.cat([each, each], -1) for each in (cos, sin))
    return x * cos + rotate_half(x) * sin


def computed(x, _cos, _sin):
    """The same of cosines that follow from positions, with a factor as for longer contexts."""
    both = torch.cat([angles(), angles()], -1)
    return x * (both.cos() * 1.25) + rotate_half(x) * (both.sin() * 1.25)


def apart(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def added_first(x, cos, sin):
    a, b = torch.split(x, SIZE // 2, -1)
    return torch.cat([a * cos - b * sin, a * sin + cos * b], -1)


def rotations(module):
    return [b.value for b in bindings(module["main"]) if op_name(b.value) == "fp32.rotate"]


@pytest.mark.parametrize("transposed", one_of([True, False]))
@pytest.mark.parametrize("spell", [exchanged, apart, added_first])
def test_a_rotation_becomes_one_operator_on_rows_of_all_heads(spell, transposed):
    torch.manual_seed(0)
    module = import_checked(Rotary(spell, transposed).eval(), (torch.randn(B, L, 6),), True)
    (rotation,) = rotations(module)
    x, turns = rotation.args
    assert tuple(map(int, x.ty.shape)) == (B, L, HEADS * SIZE)
    assert tuple(map(int, turns.ty.shape)) == (1, L, SIZE)


def test_positions_may_be_an_input():
    torch.manual_seed(0)
    inputs = (torch.randn(B, L, 6), torch.tensor([3, 1, 4, 15, 9]))
    (rotation,) = rotations(import_checked(Rotary(apart).eval(), inputs, True))
    assert tuple(map(int, rotation.args[1].ty.shape)) == (1, L, SIZE)


def test_a_factor_of_all_cosines_and_sines_follows_the_rotation():
    torch.manual_seed(0)
    module = import_checked(Rotary(computed).eval(), (torch.randn(B, L, 6),), True)
    (rotation,) = rotations(module)
    assert abs(rotation.args[1].value.numpy()).max() <= 1


@pytest.mark.parametrize(
    "spell",
    [
        lambda x, cos, sin: x * torch.cat([cos, sin], -1) + rotate_half(x) * torch.cat([sin, sin], -1),
        lambda x, cos, sin: apart(x, cos, sin + x[..., :1]),
        lambda x, cos, sin: exchanged(x, cos, sin) - 2 * rotate_half(x) * torch.cat([sin, sin], -1) + x,
    ],
)
def test_what_is_no_rotation_is_none(spell):
    torch.manual_seed(0)
    module = import_checked(Rotary(spell).eval(), (torch.randn(B, L, 6),), True)
    assert not rotations(module) or "relax.subtract" in map(
        op_name, (b.value for b in bindings(module["main"]))
    )
