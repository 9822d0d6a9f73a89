"""The schedules of a layer that are worth considering, all at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import numpy.typing as npt

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.cost import estimate
from tvm_vsq.schedule.footprint import tiles_fit
from tvm_vsq.schedule.knobs import Knobs
from tvm_vsq.schedule.nest import Tile
from tvm_vsq.schedule.placement import place_tile
from tvm_vsq.schedule.tiling import knobs_of, tiles_of
from tvm_vsq.schedule.workload import Workload, nest_of

_UNEVEN = 1.01
"""By how much tiles that divide their extents may be estimated slower than others, and still be chosen.

The estimate does not see that a short last tile hides less of what is loaded behind it.
"""


@dataclass(frozen=True, eq=False)
class Space:
    """Legal schedules in a fixed order: the tile `which[i]` of `tiles` in `variants[variant[i]]`.

    variants: loop order, and whether buffers have two slots. `estimates` float64 are cycles.
    """

    tiles: Tile
    variants: tuple[tuple[str, bool], ...]
    which: npt.NDArray[np.int64]
    variant: npt.NDArray[np.int64]
    estimates: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.which)

    def __iter__(self) -> Iterator[Knobs]:
        return map(self.at, range(len(self)))

    def at(self, index: int) -> Knobs:
        """One of them."""
        sizes = {name: int(size[self.which[index]]) for name, size in self.tiles.sizes.items()}
        return knobs_of(self.tiles.nest, sizes, *self.variants[self.variant[index]])

    def best(self) -> Knobs | None:
        """That with the lowest estimate, of equal ones that with the larger tile; None if there is none.

        Uneven tiles have to be better by a margin.
        """
        if not len(self):
            return None
        ranks = self.estimates * np.where(self.tiles.is_even[self.which], 1, _UNEVEN)
        lowest = np.flatnonzero(ranks == ranks.min())
        iterations = np.prod([size[self.which[lowest]] for size in self.tiles.sizes.values()], axis=0)
        return self.at(int(lowest[np.argmax(iterations)]))

    def only(self, chosen: npt.NDArray[np.bool_]) -> Space:
        """Those that are chosen."""
        which, variant, estimates = self.which[chosen], self.variant[chosen], self.estimates[chosen]
        return replace(self, which=which, variant=variant, estimates=estimates)


def space_of(workload: Workload, hardware: HardwareConfig) -> Space:
    """The legal schedules of a workload."""
    nest = nest_of(workload, hardware)
    orders: dict[tuple[str, ...], str] = {}
    for name, loops in nest.orders.items():
        orders.setdefault(loops, name)
    tiles, variants = tiles_of(nest), tuple(product(orders.values(), (True, False)))
    legal, estimates = [], []
    for order, double_buffer in variants:
        legal.append(tiles_fit(tiles, place_tile(tiles, order, double_buffer)))
        estimates.append(estimate(tiles, order, double_buffer))
    which, variant = np.nonzero(np.stack(legal, axis=1))
    return Space(tiles, variants, which, variant, np.stack(estimates, axis=1)[which, variant])


def candidates(workload: Workload, hardware: HardwareConfig) -> list[Knobs]:
    """All legal schedules that are worth considering, in a fixed order."""
    return list(space_of(workload, hardware))
