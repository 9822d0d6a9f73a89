"""Linear layers that are read in parts become a layer for each, and attention behind them has one form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.seeds import first_of, one_of
from tests.transformers_models import calls, is_attention, same_as_torch
from torch import nn

from tvm_vsq.frontend import import_model
from tvm_vsq.network import layer_names
from tvm_vsq.quantize.config import QuantConfig
from tvm_vsq.quantize.plan import choose_layers


class Packed(nn.Module):
    """Attention on queries, keys and values of one layer, which `taken` takes apart to [N, heads, L, d]."""

    def __init__(self, taken, width=32, heads=2, parts=3):
        super().__init__()
        self.taken, self.heads = taken, heads
        self.qkv, self.out = nn.Linear(width, parts * width), nn.Linear(width, width)

    def forward(self, x):
        q, k, v = self.taken(self.qkv(x), self.heads)
        y = torch.softmax(q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5, -1) @ v
        return self.out(y.transpose(1, 2).reshape(x.shape))


def heads_of(x, heads):
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)


def behind_unbind(y, heads):  # timm's spelling
    n, length, channels = y.shape
    return y.reshape(n, length, 3, heads, channels // 3 // heads).permute(2, 0, 3, 1, 4).unbind(0)


def between_heads(y, heads):  # of each head, the three lie together
    return y.view(*y.shape[:2], heads, 3, -1).transpose(1, 2).unbind(3)


SPELLINGS = {
    "chunk": lambda y, heads: [heads_of(part, heads) for part in y.chunk(3, -1)],
    "split": lambda y, heads: [heads_of(part, heads) for part in y.split(y.shape[-1] // 3, 2)],
    "slices": lambda y, heads: [heads_of(y[..., at : at + 32], heads) for at in (0, 32, 64)],
    "every_third": lambda y, heads: [heads_of(y[..., at::3], heads) for at in range(3)],
    "unflatten": lambda y, heads: [heads_of(part, heads) for part in y.unflatten(-1, (3, -1)).unbind(2)],
    "unbind": behind_unbind,
    "between_heads": between_heads,
    "activation": lambda y, heads: [heads_of(part, heads) for part in torch.relu(y).chunk(3, -1)],
}


@pytest.mark.parametrize("spelling", first_of(SPELLINGS, 4))
def test_queries_keys_and_values_of_one_layer_are_three_layers(spelling):
    torch.manual_seed(0)
    module = same_as_torch(Packed(SPELLINGS[spelling]), (torch.randn(2, 5, 32),))
    names = list(layer_names(module).values())
    assert [name for name in names if name.startswith("qkv")] == [f"qkv/slice {at}" for at in range(3)]
    assert is_attention(module)
    assert not any(calls(module, name) for name in ("strided_slice", "split", "take"))


def test_a_rule_for_the_whole_layer_is_one_for_its_parts():
    module = import_model(Packed(SPELLINGS["chunk"]).eval(), (torch.randn(2, 5, 32),))
    config = QuantConfig.parse("4/4/4/4", rules=({"layers": "qkv", "formats": "8/8/-/-"},))
    chosen = {layer.name: found.notation for layer, found in choose_layers(module, config).values()}
    assert {name: notation for name, notation in chosen.items() if "qkv" in name} == dict.fromkeys(
        (f"qkv/slice {at}" for at in range(3)), "8/8/-/-"
    )
    assert chosen["out"] == "4/4/4/4"


def read_whole(y, heads):
    q, k, v = SPELLINGS["chunk"](y, heads)
    return q + y.mean(), k, v


def overlapping(y, heads):
    return [heads_of(y[..., at : at + 32], heads) for at in (0, 16, 64)]


@pytest.mark.parametrize("taken", [read_whole, overlapping])
def test_a_layer_that_is_read_whole_or_twice_stays_one(taken):
    torch.manual_seed(0)
    module = same_as_torch(Packed(taken), (torch.randn(2, 5, 32),))
    assert "qkv" in layer_names(module).values()


def test_parts_that_no_product_reads_are_slices_of_one_layer():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.up, self.down = nn.Linear(32, 64), nn.Linear(32, 8)

        def forward(self, x):
            gate, y = self.up(x).chunk(2, -1)
            return self.down(torch.sigmoid(gate) * y)

    module = same_as_torch(Gated(), (torch.randn(3, 32),))
    assert next(iter(layer_names(module).values())) == "up"


def encoder_layer(batch_first, heads=4, **settings):
    torch.manual_seed(0)
    return nn.TransformerEncoderLayer(64, heads, 96, batch_first=batch_first, **settings).eval()


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize(
    ("images", "rows", "heads"),
    first_of([(2, 5, 4), (1, 5, 4), (2, 1, 4), (1, 1, 4), (3, 3, 1), (4, 4, 4)], 3),
)
def test_an_encoder_layer_of_torch_has_no_permute_but_of_heads(batch_first, images, rows, heads):
    x = torch.randn(*((images, rows) if batch_first else (rows, images)), 64)
    module = same_as_torch(encoder_layer(batch_first, heads), (x,))
    assert is_attention(module)
    products = [call for call in calls(module, "matmul") if len(call.args[1].ty.shape) == 4]
    assert len(products) == 2
    names = list(layer_names(module).values())
    assert [name for name in names if "in_proj" in name] == [
        f"self_attn.in_proj/slice {at}" for at in range(3)
    ]
    # besides: at the input and the result of the network, where sequences come first
    assert len(calls(module, "permute_dims")) <= (7 if batch_first else 10)


@pytest.mark.parametrize("batch_first", one_of([True, False]))
def test_a_mask_of_padding_is_asked_what_it_lets_pass(batch_first):
    x = torch.randn(*((2, 5) if batch_first else (5, 2)), 64)
    hidden = torch.zeros(2, 5, dtype=torch.bool)
    hidden[1, 3:] = True
    module = same_as_torch(encoder_layer(batch_first), {"src": x, "src_key_padding_mask": hidden})
    assert is_attention(module)
    masks = [np.prod([int(n) for n in call.ty.shape]) for call in calls(module, "where")]
    assert min(masks) == 2 * 5  # as small as the model is given it
    assert not any(calls(module, name) for name in ("clip", "broadcast_to"))
