"""How much each layer alone, in each of several formats, disturbs the results of a network."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tvm_vsq.errors import CalibrationError
from tvm_vsq.files import PLOTS, replacing
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.progress import steps
from tvm_vsq.quantize.config import QuantConfig
from tvm_vsq.quantize.data import batches, rereadable
from tvm_vsq.quantize.plan import Plan, make_plan
from tvm_vsq.quantize.quantizer import calibrated_ranges, quantize_calibrated
from tvm_vsq.study.choices import Choices, find_choices
from tvm_vsq.study.measure import Ratio
from tvm_vsq.terminal import Column, Kind, Printed, Table
from tvm_vsq.torch_graph import TorchGraph, tensor_of
from tvm_vsq.tvm_compat import IRModule


@dataclass(frozen=True, repr=False)
class Sensitivity(Printed):
    """The profile of a network.

    noise[layer][format]: error over signal (a ratio of energies) of the network's results when only that
    layer is quantized, with the maximum pools and sums that follow it. uniform[format]: when all layers are.
    `layers` and `formats` name rows and columns.
    """

    layers: tuple[str, ...]
    formats: tuple[str, ...]
    noise: tuple[tuple[float, ...], ...]
    uniform: tuple[float, ...]

    def to_json(self) -> str:
        """All fields."""
        return json.dumps(asdict(self), indent=2)

    @property
    def summary(self) -> str:
        """What was measured, and all layers together."""
        whole = ", ".join(
            f"{notation} {decibel(noise):.1f} dB"
            for notation, noise in zip(self.formats, self.uniform, strict=True)
        )
        return f"{len(self.layers)} layers, each alone; all together {whole}"

    def _parts(self, wide: bool) -> Iterator[Table | str]:
        columns = [Column("layer", kind=Kind.NAME)]
        columns += [Column(notation, keep) for keep, notation in enumerate(self.formats)]
        sums = np.asarray(self.noise).sum(axis=0)
        named = [
            *zip(self.layers, self.noise, strict=True),
            ("sum of the errors", sums),
            ("all layers, measured", self.uniform),
        ]
        rows = [(name, *(f"{decibel(noise):.1f}" for noise in row)) for name, row in named]
        yield Table("SQNR of the results in dB, with one layer quantized", columns, rows, last=2)

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Write a line for each format over the layers as an image. InputError if it cannot be written."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(max(7.0, 0.32 * len(self.layers) + 3), 6), layout="constrained")
        axes = figure.subplots()
        for column, notation in enumerate(self.formats):
            axes.plot([decibel(row[column]) for row in self.noise], "o-", label=notation)
        axes.set(ylabel="SQNR of the results (dB), this layer quantized", xticks=range(len(self.layers)))
        axes.set_xticklabels(self.layers, rotation=90, fontsize=7)
        axes.legend()
        with replacing(path, *PLOTS) as draft:
            figure.savefig(draft)


def decibel(noise: float) -> float:
    """The signal-to-error ratio in dB of an error-to-signal ratio."""
    return float("inf") if noise == 0 else -10 * float(np.log10(noise))


def measure_sensitivity(
    module: IRModule,
    formats: Sequence[str],
    config: QuantConfig,
    base: HardwareConfig,
    calibration: Any,
    compare: Comparison,
) -> tuple[Sensitivity, Choices]:
    """Quantize one layer of the canonical `module` after the other to each of `formats` (W/A/ws/as).

    Maximum pools and sums are quantized with the layer that they follow. config: all other settings; layers
    that its rules leave in fp32, or give formats of their own, are not profiled. calibration: see
    `tvm_vsq.quantize.data.batches`.
    Raises ConfigError if there is no layer to profile.
    """
    calibration = rereadable(calibration)
    configs = [config.with_formats(notation) for notation in formats]
    hardware = [candidate.hardware(base) for candidate in configs]
    plans = [[make_plan(module, *pair) for pair in zip(configs, hardware, strict=True)]]
    choices = find_choices(module, plans[0], formats)
    names = tuple(layer.name for layer in choices.layers)
    plans += [[_only(choices.group(name), plan) for plan in plans[0]] for name in names]
    points = dict.fromkeys(point for row in plans for plan in row for point in plan.points)
    ranges = calibrated_ranges(module, list(points), calibration)

    every = [
        (name, plan, built)
        for name, row in zip(("all layers", *names), plans, strict=True)
        for plan, built in zip(row, hardware, strict=True)
    ]
    noises = [
        compare(quantize_calibrated(module, plan, ranges, calibration, built))
        for _, plan, built in steps("measuring", every, len(every), name=lambda each: each[0])
    ]
    rows = [tuple(noises[at : at + len(formats)]) for at in range(0, len(noises), len(formats))]
    return Sensitivity(names, tuple(formats), tuple(rows[1:]), rows[0]), choices


def _only(names: list[str], plan: Plan) -> Plan:
    """All layers in fp32 but these, with what they have among all: a sum is of the one layer that adds it."""
    return replace(plan, layers=tuple(layer for layer in plan.layers if layer.name in names))


class Comparison:
    """Compares quantized networks with the fp32 one on the same data; its results are computed once.

    Raises CalibrationError if they are all 0.
    """

    def __init__(self, module: IRModule, data: Any) -> None:
        self._inputs = [[tensor_of(array) for array in arrays] for arrays in batches(module["main"], data)]
        self._expected = self._results(module)
        if not any(expected.any() for expected in self._expected):
            raise CalibrationError(
                "the fp32 network's results are 0 on all data, so no error can be set against them; give "
                "data on which they are not"
            )

    def __call__(self, quantized: IRModule) -> float:
        """Error over signal of all results of the network together, as energies."""
        ratio = Ratio()
        for expected, found in zip(self._expected, self._results(quantized), strict=True):
            ratio.add(expected, found)
        return ratio.error / ratio.signal

    def _results(self, module: IRModule) -> list[npt.NDArray[np.float32]]:
        graph = TorchGraph(module["main"])
        with torch.inference_mode():
            results = [graph(*tensors) for tensors in self._inputs]
        flat = [
            tensor for result in results for tensor in (result if isinstance(result, tuple) else [result])
        ]
        return [tensor.numpy() for tensor in flat]
