"""Similarities by the chip beside torch's, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from rich.table import Table
from scipy.stats import spearmanr
from sentences import Pair
from torch import Tensor

import tvm_vsq


@dataclass(frozen=True)
class Result:
    """One target over all pairs. vectors: of the sentences, [2 pairs, width]; profile: of one pair;
    layers: on the accelerator.
    """

    quant: str
    vectors: Tensor
    profile: tvm_vsq.Profile
    layers: int


def similarities(vectors: Tensor) -> Tensor:
    """Cosines of vectors of length 1 and their neighbours: [2 pairs, width] -> [pairs]."""
    first, second = vectors[::2], vectors[1::2]
    return (first * second).sum(1)


def similarity_table(pairs: Sequence[Pair], fp32: Tensor, results: Sequence[Result]) -> Table:
    """A row a pair, the most similar by torch first. fp32: torch's vectors of the sentences."""
    title = f"MiniLM, {len(pairs)} pairs of sentences: cosine similarity in torch (fp32) and on the chip"
    grid = Table(title=title, title_justify="left")
    for heading in ("pair", "first", "second"):
        grid.add_column(heading, no_wrap=True)
    for heading in ("fp32", *(result.quant for result in results)):
        grid.add_column(heading, justify="right", no_wrap=True)
    truth = similarities(fp32)
    chips = [similarities(result.vectors) for result in results]
    for index in truth.argsort(descending=True).tolist():
        pair = pairs[index]
        values = [f"{column[index]:.3f}" for column in (truth, *chips)]
        grid.add_row(pair.kind, pair.first, pair.second, *values)
    return grid


def sqnr_db(vectors: Tensor, fp32: Tensor) -> float:
    """Power of fp32 over that of the difference."""
    noise = (vectors.double() - fp32).square().sum()
    return float(10 * torch.log10(fp32.double().square().sum() / noise))


def cost_table(fp32: Tensor, results: Sequence[Result]) -> Table:
    """How far each target is from torch in similarities, their order and vectors; and what one pair costs."""
    grid = Table(title="How close to fp32, and the cost of one pair, two sentences", title_justify="left")
    grid.add_column("W/A/ws/as")
    headings = ("largest difference", "Spearman", "SQNR dB", "cycles", "ms", "MAC util.", "DRAM bytes")
    for heading in (*headings, "energy uJ"):
        grid.add_column(heading, justify="right", no_wrap=True)
    truth = similarities(fp32)
    for result in results:
        found, profile = similarities(result.vectors), result.profile
        grid.add_row(
            result.quant,
            f"{(truth - found).abs().max():.3f}",
            f"{spearmanr(truth, found).statistic:.3f}",
            f"{sqnr_db(result.vectors, fp32):.1f}",
            f"{profile.cycles:,}",
            f"{profile.milliseconds:.2f}",
            f"{profile.utilization:.1%}",
            f"{profile.dram_bytes:,}",
            f"{profile.energy_pj / 1e6:,.0f}",
        )
    return grid


def on_chip(result: Result) -> str:
    """How much of the network runs on the accelerator, and what takes its energy, the most first."""
    profile = result.profile
    macs = profile.macs + profile.not_counted.macs
    parts = sorted(profile.energy_by_part().items(), key=lambda part: -part[1])
    energy = ", ".join(f"{name} {energy_pj / profile.energy_pj:.1%}" for name, energy_pj in parts)
    return (
        f"{result.quant}: {profile.macs:,} of {macs:,} MACs on the chip, in {result.layers} layers; "
        f"energy: {energy}"
    )
