"""Heads that share keys and values: stacks in which nothing is repeated, and the same function."""

from __future__ import annotations

import pytest
import torch
from tests.seeds import one_of
from torch import nn
from torch.nn import functional as F

from tvm_vsq.graph import bindings, op_name
from tvm_vsq.importing import import_checked

L, HEADS, GROUPS, SIZE = 5, 6, 2, 8


def expanded(x):
    """As Hugging Face writes it."""
    batch, groups, length, size = x.shape
    each = HEADS // groups
    return x[:, :, None].expand(batch, groups, each, length, size).reshape(batch, HEADS, length, size)


def eager(q, k, v, mask):
    scores = q @ expanded(k).transpose(2, 3) * SIZE**-0.5
    return torch.softmax(scores if mask is None else scores + mask, -1) @ expanded(v)


def repeated(q, k, v, mask):
    k, v = (x.repeat_interleave(HEADS // GROUPS, 1) for x in (k, v))
    scores = q @ k.transpose(2, 3) * SIZE**-0.5
    return torch.softmax(scores if mask is None else scores + mask, -1) @ v


def grouped(q, k, v, mask):
    return F.scaled_dot_product_attention(q, k, v, mask, enable_gqa=True)


class Attention(nn.Module):
    """Linear layers, and one of these on their heads."""

    def __init__(self, attend):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(6, n * SIZE) for n in (HEADS, GROUPS, GROUPS))
        self.attend = attend

    def forward(self, x, mask=None):
        batch, length, _ = x.shape
        q, k, v = (
            layer(x).view(batch, length, -1, SIZE).transpose(1, 2) for layer in (self.q, self.k, self.v)
        )
        return self.attend(q, k, v, mask).transpose(1, 2).reshape(batch, length, -1)


@pytest.mark.parametrize("masked", one_of(["", "all", "each"]))
@pytest.mark.parametrize("batch", one_of([1, 2]))
@pytest.mark.parametrize("attend", [eager, repeated, grouped])
def test_nothing_is_repeated(attend, batch, masked):
    torch.manual_seed(0)
    inputs = [torch.randn(batch, L, 6)]
    if masked:
        inputs.append(torch.randn(batch if masked == "each" else 1, 1, L, L))
    module = import_checked(Attention(attend).eval(), tuple(inputs), True)
    calls = [binding.value for binding in bindings(module["main"])]
    products = [c for c in calls if op_name(c) == "relax.matmul" and len(c.args[1].ty.shape) > 2]
    assert len(products) == 2
    for product in products:
        shapes = [tuple(map(int, x.ty.shape)) for x in product.args]
        assert [shape[:2] for shape in shapes] == [(batch * GROUPS, HEADS // GROUPS), (batch * GROUPS, 1)]
    spread = [c for c in calls if op_name(c) in ("relax.broadcast_to", "relax.repeat")]
    # a mask of each image, and what is asked of it, is there for each group of its heads
    assert bool(spread) == (masked == "each" and batch > 1)


def test_heads_that_share_nothing_are_left_alone():
    torch.manual_seed(0)

    def attend(q, _k, _v, _mask):
        return torch.softmax(q @ q.transpose(2, 3), -1) @ q

    module = import_checked(Attention(attend).eval(), (torch.randn(1, L, 6),), True)
    products = [b.value for b in bindings(module["main"]) if op_name(b.value) == "relax.matmul"]
    shapes = [tuple(map(int, c.args[1].ty.shape)) for c in products]
    assert [shape[:2] for shape in shapes if len(shape) == 4] == [(1, HEADS)] * 2
