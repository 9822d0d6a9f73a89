"""Small transformers in plain torch, as the large ones spell them, with random weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from tvm_vsq.frontend import import_model
from tvm_vsq.graph import bindings, op_name, static_shape
from tvm_vsq.importing.run import results_of
from tvm_vsq.tvm_compat import IRModule


class Attention(nn.Module):
    """With heads of `width / heads` channels; kind: "eager" or "sdpa"."""

    def __init__(self, width: int, heads: int, kind: str) -> None:
        super().__init__()
        self.heads, self.kind = heads, kind
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        q, k, v = (
            layer(x).view(*x.shape[:2], self.heads, -1).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        if self.kind == "sdpa":
            given = None if mask is None else mask[:, None, None, :].bool()
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=given)
        else:
            scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
            if mask is not None:
                scores = scores + (1.0 - mask[:, None, None, :].float()) * torch.finfo(torch.float32).min
            y = torch.softmax(scores, -1) @ v
        return self.out(y.transpose(1, 2).reshape(x.shape))


class Encoder(nn.Module):
    """One layer as BERT has it, of token ids and a mask of padding; sequences of up to 32."""

    def __init__(self, kind: str = "eager", width: int = 32, heads: int = 2, vocabulary: int = 50) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(32, width)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.attention = Attention(width, heads, kind)
        self.up, self.down, self.pooler = nn.Linear(width, 48), nn.Linear(48, width), nn.Linear(width, width)
        for norm in (self.norm1, self.norm2, self.norm3):
            nn.init.normal_(norm.weight, 1.0, 0.2)
            nn.init.normal_(norm.bias, 0.0, 0.2)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        places = torch.arange(input_ids.shape[1])[None]
        x = self.norm1(self.tokens(input_ids) + self.places(places))
        x = self.norm2(x + F.dropout(self.attention(x, attention_mask), 0.1, self.training))
        x = self.norm3(x + self.down(F.gelu(self.up(x))))
        return x, torch.tanh(self.pooler(x[:, 0]))


class RmsNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width).normal_(1.0, 0.2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = x.to(torch.float32)
        return self.weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)).to(x.dtype)


class Decoder(nn.Module):
    """One layer as LLaMA has it: rotary embedding, two query heads a key head, SwiGLU, a causal mask."""

    def __init__(self, width: int = 32, heads: int = 4, groups: int = 2, vocabulary: int = 50) -> None:
        super().__init__()
        self.heads, self.groups, self.size = heads, groups, width // heads
        self.tokens = nn.Embedding(vocabulary, width)
        self.norm1, self.norm2, self.norm3 = (RmsNorm(width) for _ in range(3))
        self.query = nn.Linear(width, width, bias=False)
        self.key, self.value = (nn.Linear(width, groups * self.size, bias=False) for _ in range(2))
        self.out = nn.Linear(width, width, bias=False)
        self.gate, self.up = (nn.Linear(width, 48, bias=False) for _ in range(2))
        self.down = nn.Linear(48, width, bias=False)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        x = self.tokens(input_ids)
        x = x + self.attention(self.norm1(x))
        y = self.norm2(x)
        return self.norm3(x + self.down(F.silu(self.gate(y)) * self.up(y)))

    def attention(self, x: torch.Tensor) -> torch.Tensor:
        batch, length = x.shape[:2]
        q, k, v = (
            layer(x).view(batch, length, -1, self.size).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        angles = torch.arange(length).float()[:, None] / 10000 ** (torch.arange(0, self.size, 2) / self.size)
        cos, sin = (f(torch.cat([angles, angles], -1)) for f in (torch.cos, torch.sin))
        q, k = (each * cos + _turned(each) * sin for each in (q, k))
        k, v = (each.repeat_interleave(self.heads // self.groups, 1) for each in (k, v))
        scores = q @ k.transpose(2, 3) / self.size**0.5
        scores = scores + torch.full((length, length), torch.finfo(torch.float32).min).triu(1)
        y = torch.softmax(scores, -1) @ v
        return self.out(y.transpose(1, 2).reshape(x.shape))


def _turned(x: torch.Tensor) -> torch.Tensor:
    first, second = x.chunk(2, -1)
    return torch.cat([-second, first], -1)


def batch(rows: int, length: int, vocabulary: int = 50) -> dict[str, torch.Tensor]:
    """Random token ids, and a mask of which the last sequence has some of padding."""
    mask = torch.ones(rows, length, dtype=torch.int64)
    mask[-1, length // 2 + 1 :] = 0
    return {"input_ids": torch.randint(0, vocabulary, (rows, length)), "attention_mask": mask}


def same_as_torch(model: nn.Module, inputs: Any, tolerance: float = 1e-5) -> IRModule:
    """The canonical form of a model, which computes what torch does.

    inputs: a tuple, or a dict of keywords. tolerance: relative to the largest result.
    """
    module = import_model(model.eval(), inputs)
    with torch.no_grad():
        results = model(**inputs) if isinstance(inputs, dict) else model(*inputs)
    expected = (
        [results] if isinstance(results, torch.Tensor) else list(torch.utils._pytree.tree_leaves(results))
    )
    arrays = [tensor.numpy() for tensor in (inputs.values() if isinstance(inputs, dict) else inputs)]
    for ours, theirs in zip(results_of(module, arrays), expected, strict=True):
        wanted = theirs.float().numpy()
        np.testing.assert_allclose(ours, wanted, rtol=0, atol=tolerance * np.abs(wanted).max())
    return module


def calls(module: IRModule, name: str) -> list[Any]:
    """The calls of one operator, without "relax."."""
    return [b.value for b in bindings(module["main"]) if op_name(b.value) == f"relax.{name}"]


def is_attention(module: IRModule, count: int = 1) -> bool:
    """Whether each of `count` attentions is: Q K^T, one scale, at most one mask, softmax, times V."""
    values: Any = {binding.var: binding.value for binding in bindings(module["main"])}
    softmaxes, products = calls(module, "nn.softmax"), []
    for softmax in softmaxes:
        scores = values[softmax.args[0]]
        scores = values[scores.args[0]] if op_name(scores) == "relax.add" else scores
        scaled = op_name(scores) in ("relax.multiply", "relax.divide") and static_shape(scores.args[1]) == ()
        products.append(values[scores.args[0]] if scaled else None)
    read = [softmax for softmax in calls(module, "matmul") if values.get(softmax.args[0]) in softmaxes]
    return (
        len(softmaxes) == len(read) == count
        and all(int(softmax.attrs.axis) == -1 for softmax in softmaxes)
        and all(op_name(each) == "relax.matmul" and len(each.args[0].ty.shape) == 4 for each in products)
        and not calls(module, "isnan")
    )
