"""Texts with human judgements, and texts to calibrate on; all of them in a fixed order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from packages import package


@dataclass(frozen=True)
class Reviews:
    """Movie-review snippets and whether their mean human rating is positive."""

    texts: list[str]
    is_positive: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Pairs:
    """Index pairs [n, 2] into `texts`, and how similar people found the two."""

    texts: list[str]
    pairs: npt.NDArray[np.int64]
    judged: npt.NDArray[np.float64]


def movie_reviews(seed: int = 0) -> Reviews:
    """10,605 snippets (Hutto & Gilbert, ICWSM 2014; texts of Pang & Lee, 2004), shuffled."""
    path = next(package("vaderSentiment").rglob("movieReviewSnippets_GroundTruth.txt"))
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    order = np.random.default_rng(seed).permutation(len(rows))
    return Reviews([rows[i][2] for i in order], np.array([float(rows[i][1]) > 0 for i in order]))


def lee50() -> Pairs:
    """50 news texts, judged pair by pair (Lee, Pincombe & Welsh, CogSci 2005)."""
    folder = package("gensim") / "gensim/test/test_data"
    texts = (folder / "lee.cor").read_text(encoding="latin-1").splitlines()
    judged = np.loadtxt(folder / "similarities0-1.txt")
    pairs = np.array([(i, j) for i in range(len(texts)) for j in range(i)])
    return Pairs(texts, pairs, judged[pairs[:, 1], pairs[:, 0]])


def news() -> list[str]:
    """300 other news texts of the same source as `lee50`."""
    path = package("gensim") / "gensim/test/test_data/lee_background.cor"
    return path.read_text(encoding="latin-1").splitlines()


def simlex() -> Pairs:
    """SimLex-999: pairs of words (Hill, Reichart & Korhonen, Computational Linguistics 2015)."""
    return _word_pairs("simlex999.txt")


def wordsim() -> list[str]:
    """The words of WordSim-353 that are not in SimLex-999."""
    return sorted({*_word_pairs("wordsim353.tsv").texts} - {*simlex().texts})


def _word_pairs(name: str) -> Pairs:
    path = package("gensim") / "gensim/test/test_data" / name
    rows = [line.split("\t") for line in path.read_text().splitlines() if not line.startswith("#")]
    words = sorted({word for row in rows for word in row[:2]})
    index = {word: position for position, word in enumerate(words)}
    pairs = np.array([[index[first], index[second]] for first, second, _ in rows])
    return Pairs(words, pairs, np.array([float(row[2]) for row in rows]))
