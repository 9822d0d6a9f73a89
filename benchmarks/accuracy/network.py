"""What every network of the tables brings along."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from metrics import Metric
from torch import nn

Array = npt.NDArray[np.float32]


def as_they_are(outputs: Array) -> Array:
    return outputs


@dataclass(frozen=True)
class Network:
    """A trained network, data to calibrate on, other data to evaluate on, and what its outputs are worth."""

    name: str
    model: nn.Module
    calibration: tuple[Array, ...]  # one array for each input, samples along axis 0
    inputs: tuple[Array, ...]
    metrics: Sequence[Metric]
    summarize: Callable[[Array], Array] = as_they_are  # what is kept of all outputs, one row for each sample
    data: str = ""  # for the document
    not_on_the_chip: str = ""
    left_in_fp32: tuple[str, ...] = ()  # patterns of layers, in rows that say nothing of them
