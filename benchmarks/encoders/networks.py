"""The transformers of docs/encoders.md: shapes of known ones, with random weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel, LlamaConfig, LlamaModel


class Hidden(nn.Module):
    """What a model gives last, and nothing else."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor) -> Tensor:
        hidden: Tensor = self.model(input_ids=input_ids, return_dict=False)[0]
        return hidden


@dataclass(frozen=True)
class Network:
    """what: for a heading. make: the model."""

    what: str
    make: Callable[[], nn.Module]

    def model(self) -> nn.Module:
        """With seeded weights, in inference mode."""
        torch.manual_seed(0)
        return Hidden(self.make()).eval()


def bert(width: int, layers: int, heads: int) -> Callable[[], nn.Module]:
    """An encoder whose inner layers are four times as wide (Devlin et al., NAACL 2019)."""
    config = BertConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        attn_implementation="eager",
    )
    return lambda: BertModel(config, add_pooling_layer=False)


def llama(width: int, layers: int, heads: int, groups: int, inner: int) -> Callable[[], nn.Module]:
    """A decoder with rotary embeddings, heads that share keys and values, SwiGLU and a causal mask."""
    config = LlamaConfig(
        vocab_size=4000,
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        use_cache=False,
        attn_implementation="eager",
    )
    return lambda: LlamaModel(config)


NETWORKS = {
    "MiniLM": Network("MiniLM: 6 layers of 384 channels, 12 heads", bert(384, 6, 12)),
    "base": Network("BERT-base: 12 layers of 768 channels, 12 heads", bert(768, 12, 12)),
    "large": Network("BERT-large: 24 layers of 1024 channels, 16 heads", bert(1024, 24, 16)),
    "decoder": Network(
        "A LLaMA of 4 layers of 512 channels, 8 heads that share 2 keys and values, inner layers of 1408",
        llama(512, 4, 8, 2, 1408),
    ),
}


def to_onnx(model: nn.Module, ids: Tensor, path: Path) -> None:
    """The model in fp32, as a file."""
    program = torch.onnx.export(model, (ids,), input_names=["input_ids"], dynamo=True, verbose=False)
    program.save(str(path), external_data=True)
