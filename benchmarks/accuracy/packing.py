"""Texts as inputs of the encoder: tokens, embeddings, and several texts side by side in one sequence.

A mask keeps texts of one sequence apart: each is encoded as if it were alone, and no time goes into padding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from encoder import EPSILON, WIDTH
from tokenizers import Tokenizer
from torch import Tensor

LENGTH = 256  # tokens of a sequence; no text here has more
_APART = -10_000.0  # exp(-10000) is 0 in float32


@dataclass(frozen=True)
class Packed:
    """Texts in sequences: the encoder's inputs, and where each text is."""

    embedded: npt.NDArray[np.float32]  # [sequences, LENGTH, WIDTH]
    mask: npt.NDArray[np.float32]  # [sequences, 1, LENGTH, LENGTH]
    places: list[tuple[int, int, int]]  # for each text: sequence, first token, end

    def pool(self, encoded: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """[sequences, LENGTH, WIDTH] -> a vector of length 1 for each text: the mean over its tokens."""
        means = np.stack([encoded[row, begin:end].mean(0) for row, begin, end in self.places])
        return means / np.linalg.norm(means, axis=1, keepdims=True)


class Embedding:
    """What comes before the encoder: token and position embeddings and their layer norm, in fp32."""

    def __init__(self, weights: Mapping[str, Tensor], tokenizer: Path) -> None:
        self._weights = {name: value for name, value in weights.items() if name.startswith("embeddings.")}
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(LENGTH)

    def pack(self, texts: Sequence[str]) -> Packed:
        """Put each text into the first sequence that has room for it, in the order given."""
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        free: list[int] = []
        places = []
        for ids in tokens:
            row = next((row for row, room in enumerate(free) if room >= len(ids)), len(free))
            if row == len(free):
                free.append(LENGTH)
            begin = LENGTH - free[row]
            places.append((row, begin, begin + len(ids)))
            free[row] -= len(ids)
        embedded = np.zeros((len(free), LENGTH, WIDTH), np.float32)
        mask = np.full((len(free), 1, LENGTH, LENGTH), _APART, np.float32)
        for ids, (row, begin, end) in zip(tokens, places, strict=True):
            embedded[row, begin:end] = self._embed(ids)
            mask[row, 0, begin:end, begin:end] = 0
        return Packed(embedded, mask, places)

    def _embed(self, ids: list[int]) -> npt.NDArray[np.float32]:
        weight = {name.removeprefix("embeddings."): value for name, value in self._weights.items()}
        total = (
            weight["word_embeddings.weight"][ids]
            + weight["position_embeddings.weight"][: len(ids)]
            + weight["token_type_embeddings.weight"][0]
        )
        norm = weight["LayerNorm.weight"], weight["LayerNorm.bias"]
        return torch.nn.functional.layer_norm(total, (WIDTH,), *norm, eps=EPSILON).numpy()
