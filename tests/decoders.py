"""A small decoder in the style of LLaMA whose keys and values come in from outside, and go out."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

VOCABULARY, LONGEST = 50, 64


class Norm(nn.Module):
    """Root mean square normalization."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:], self.weight, 1e-6)


class DecoderLayer(nn.Module):
    """Attention with grouped queries over what is cached and what is new, and SwiGLU.

    Keys [1, tokens, groups * size] are cached as they come, values in blocks of as many tokens as a vector
    has elements, [blocks, groups * size, tokens of a block].
    """

    def __init__(self, width: int, heads: int, groups: int, size: int, hidden: int, vector: int) -> None:
        super().__init__()
        self.heads, self.groups, self.size, self.vector = heads, groups, size, vector
        self.norm, self.norm_mlp = Norm(width), Norm(width)
        self.q = nn.Linear(width, heads * size, bias=False)
        self.k = nn.Linear(width, groups * size, bias=False)
        self.v = nn.Linear(width, groups * size, bias=False)
        self.o = nn.Linear(heads * size, width, bias=False)
        self.gate = nn.Linear(width, hidden, bias=False)
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def turned(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Rotary embedding of x [1, T, heads, size] by cos and sin [T, size / 2]."""
        a, b = x.chunk(2, -1)
        cos, sin = cos[:, None], sin[:, None]
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    def blocks(self, v: Tensor) -> Tensor:
        """Values [1, T, channels] as [blocks, channels, tokens of a block], the last filled up with zeros."""
        turned, missing = v.transpose(1, 2), -v.shape[1] % self.vector
        filled = F.pad(turned, (0, missing)) if missing else turned
        return filled.reshape(v.shape[2], -1, self.vector).transpose(0, 1)

    def forward(
        self,
        x: Tensor,
        cos: Tensor,
        sin: Tensor,
        mask: Tensor,
        past: tuple[Tensor, Tensor] | None,
        apart: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        length, each = x.shape[1], self.heads // self.groups
        given = self.norm(x)
        q = self.turned(self.q(given).view(1, length, self.heads, self.size), cos, sin)
        k = self.turned(self.k(given).view(1, length, self.groups, self.size), cos, sin)
        new_k = k.reshape(1, length, -1)
        new_v = self.blocks(self.v(given))
        if past is not None:
            keys, values = torch.cat([past[0], new_k], 1), torch.cat([past[1], new_v], 0)
        elif apart:  # computed twice, so that each token has its own key and value behind those of all
            again = self.turned(self.k(given).view(1, length, self.groups, self.size), cos, sin)
            keys = torch.cat([new_k, again.reshape(1, length, -1)], 1)
            values = torch.cat([new_v, self.blocks(self.v(given))], 0)
        else:
            keys, values = new_k, new_v
        count, room = keys.shape[1], values.shape[0] * self.vector
        keys = keys.view(1, count, self.groups, 1, self.size).permute(0, 2, 3, 1, 4)
        values = values.transpose(0, 1).reshape(1, self.groups, 1, self.size, room)
        keys = keys.expand(-1, -1, each, -1, -1).reshape(1, self.heads, count, self.size)
        values = values.expand(-1, -1, each, -1, -1).reshape(1, self.heads, self.size, room)
        scores = q.transpose(1, 2) @ keys.transpose(-1, -2) / math.sqrt(self.size) + mask
        chances = torch.softmax(scores, -1)
        if room > count:
            chances = F.pad(chances, (0, room - count))
        mixed = (chances @ values.transpose(-1, -2)).transpose(1, 2)
        x = x + self.o(mixed.reshape(1, length, -1))
        given = self.norm_mlp(x)
        return x + self.down(F.silu(self.gate(given)) * self.up(given)), new_k, new_v


class Decoder(nn.Module):
    """Token ids [1, T], positions [T], a mask [1, 1, T, past + T], and the caches of all layers.

    apart: without caches, tokens see themselves as a token behind all others, and the mask is [1, 1, T, 2 T]:
    so the vectors of probabilities are those of steps of one token.
    """

    def __init__(self, layers: int = 1, vector: int = 16, size: int = 32, apart: bool = False) -> None:
        super().__init__()
        self.apart = apart
        self.embedding = nn.Embedding(VOCABULARY, 64)
        self.layers = nn.ModuleList(DecoderLayer(64, 4, 2, size, 96, vector) for _ in range(layers))
        self.norm, self.head = Norm(64), nn.Linear(64, VOCABULARY, bias=False)
        angles = torch.outer(torch.arange(LONGEST), 100.0 ** -(torch.arange(size // 2) / (size // 2)))
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def forward(self, tokens: Tensor, positions: Tensor, mask: Tensor, *caches: Tensor) -> tuple[Tensor, ...]:
        x, new = self.embedding(tokens), []
        cos, sin = self.cos[positions], self.sin[positions]
        for number, layer in enumerate(self.layers):
            past = (caches[2 * number], caches[2 * number + 1]) if caches else None
            x, *made = layer(x, cos, sin, mask, past, self.apart)
            new += made
        return self.head(self.norm(x)), *new
