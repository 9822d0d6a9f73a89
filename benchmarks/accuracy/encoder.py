"""The BERT encoder of MiniLM as plain torch modules, with static shapes and the checkpoint's names."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

LAYERS, WIDTH, HEADS, INNER = 6, 384, 12, 1536
EPSILON = 1e-12


class SelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        batch, length, _ = x.shape
        query, key, value = (
            layer(x).reshape(batch, length, HEADS, WIDTH // HEADS).permute(0, 2, 1, 3)
            for layer in (self.query, self.key, self.value)
        )
        scores = torch.matmul(query, key.permute(0, 1, 3, 2)) / math.sqrt(WIDTH // HEADS) + mask
        mixed = torch.matmul(torch.softmax(scores, dim=-1), value)
        return mixed.permute(0, 2, 1, 3).reshape(batch, length, WIDTH)


class Output(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, WIDTH)
        self.LayerNorm = nn.LayerNorm(WIDTH, eps=EPSILON)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        return self.LayerNorm(self.dense(x) + residual)


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.ModuleDict({"self": SelfAttention(), "output": Output(WIDTH)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(WIDTH, INNER)})
        self.output = Output(INNER)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.attention["output"](self.attention["self"](x, mask), x)
        return self.output(nn.functional.gelu(self.intermediate["dense"](x)), x)


class Encoder(nn.Module):
    """Six transformer layers (Devlin et al., NAACL 2019)."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, embedded: Tensor, mask: Tensor) -> Tensor:
        """float32 [B, L, 384] and a mask [B, 1, L, L], added to the scores -> float32 [B, L, 384]."""
        for layer in self.layer:
            embedded = layer(embedded, mask)
        return embedded


def load_encoder(weights: Mapping[str, Tensor]) -> Encoder:
    """The encoder with the weights of a BERT checkpoint, in inference mode."""
    encoder = Encoder()
    prefix = "encoder."
    encoder.load_state_dict({k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)})
    return encoder.eval()
