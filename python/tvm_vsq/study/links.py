"""Which formats of layers depend on one another, on an accelerator that rounds products of vector scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tvm_vsq.formats import parse_notation
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.quantize.plan import Plan, QuantizedLayer
from tvm_vsq.quantize.unify import readers_together

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Links:
    """Inequalities that every choice keeps, on 1 for each layer and format that is chosen and 0 for others.

    rows: float64[inequality, layer * format], whose sum over what is chosen is at most most:
    float64[inequality].
    """

    rows: Matrix
    most: npt.NDArray[np.float64]


NO_LINKS = Links(np.zeros((0, 0)), np.zeros(0))


def find_links(
    plan: Plan,
    hardware: HardwareConfig,
    layers: Sequence[str],
    formats: Sequence[str],
    leaders: Mapping[str, str],
) -> Links:
    """Where one layer has vector scales, all have them whose products of scales need both
    (`quantize.unify.readers_together`).

    plan: of all layers. layers: those that a format is chosen for, of `formats`. leaders: by name, the one
    whose format another layer has. What is neither has the scales that `plan` gives it.
    """
    has_scales = np.array([parse_notation(each)["activation_scale_bits"] is not None for each in formats])
    is_chosen = has_scales.any() and not has_scales.all()

    def scales_of(layer: QuantizedLayer) -> tuple[Matrix, float]:
        """What is 1 if `layer` has scales: a sum over what is chosen, and a number."""
        row, leader = np.zeros((len(layers), len(formats))), leaders.get(layer.name, layer.name)
        if leader not in layers or not is_chosen:
            return row, float(bool(layer.settings.scale_bits))
        row[layers.index(leader)] = has_scales
        return row, 0.0

    rows: list[tuple[float, ...]] = []
    most: list[float] = []
    for together in readers_together(plan, hardware):
        found: dict[tuple[tuple[float, ...], float], None] = {}
        for needing in (layer for layer in together.values() if layer.multiplies_scales):
            needs, always_needs = scales_of(needing)
            for giving in together.values():
                gives, always_gives = scales_of(giving)
                found[tuple((gives - needs).ravel().tolist()), always_needs - always_gives] = None
        if any(not any(row) and limit < 0 for row, limit in found):
            continue  # whatever is chosen, two of them cannot be together: `unified` says which
        rows += [row for row, _ in found if any(row)]
        most += [limit for row, limit in found if any(row)]
    return Links(np.array(rows).reshape(len(rows), len(layers) * len(formats)), np.array(most))
