"""The chip's answers beside torch's, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.table import Table

import tvm_vsq

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Result:
    """One target over all photos. logits: [n, classes]; profile: of one inference."""

    target: str
    quant: str
    logits: Array
    profile: tvm_vsq.Profile
    placement: str


def table(shown: Sequence[Path], names: Sequence[str], fp32: Array, results: Sequence[Result]) -> Table:
    """A row a photo: torch's answer with its probability, and each target's beside it."""
    grid = Table(title=f"EfficientNet-Lite0, {len(shown)} photos of 224 x 224", title_justify="left")
    for heading in ("photo", "fp32 (torch)"):
        grid.add_column(heading)
    for result in results:
        grid.add_column(f"chip, {result.quant}")
        grid.add_column("agrees")
    truth = answers(fp32, names)
    chips = [(answers(result.logits, names), agrees(result.logits, fp32)) for result in results]
    for index, path in enumerate(shown):
        cells = [cell for said, same in chips for cell in (said[index], "yes" if same[index] else "no")]
        grid.add_row(path.name, truth[index], *cells)
    return grid


def answers(logits: Array, names: Sequence[str]) -> list[str]:
    """The likeliest class of each row with its probability."""
    likely = torch.from_numpy(logits).softmax(1).max(1)
    pairs = zip(likely.indices.tolist(), likely.values.tolist(), strict=True)
    return [f"{names[index]} {probability:.0%}" for index, probability in pairs]


def agrees(logits: Array, fp32: Array) -> npt.NDArray[np.bool_]:
    """Where both name the same class."""
    return np.asarray(logits.argmax(1) == fp32.argmax(1))


def cost(result: Result, same: npt.NDArray[np.bool_]) -> str:
    """One inference on one target: cycles, time, energy, and what is not on the chip."""
    profile = result.profile
    return (
        f"{result.target}, {result.quant}: {same.sum()} of {len(same)} answers as in fp32; "
        f"{profile.cycles:,} cycles an inference, {profile.milliseconds:.2f} ms at {profile.clock_mhz} MHz, "
        f"{profile.energy_pj / 1e9:.2f} mJ; {result.placement}"
    )
