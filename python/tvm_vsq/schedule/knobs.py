"""The schedule of a layer as data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from tvm_vsq.errors import ScheduleError, shown
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.workload import Workload

ORDERS = ("k_outer", "hw_outer")


@dataclass(frozen=True)
class Knobs:
    """Tile sizes and loop order of one layer.

    `tile_h` x `tile_w` output pixels, `tile_k` output blocks, `tile_c` input vectors: each divides its
    extent. `order`: "k_outer" keeps weights while pixels pass by, "hw_outer" keeps pixels while weights pass
    by. `double_buffer` gives every scratchpad buffer that is filled more than once two slots.
    """

    tile_h: int
    tile_w: int
    tile_k: int
    tile_c: int
    order: str = "k_outer"
    double_buffer: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for databases."""
        return asdict(self)

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Knobs:
        """Inverse of to_dict. ScheduleError names a key that is missing, unknown or of the wrong type."""
        types = {
            "tile_h": int,
            "tile_w": int,
            "tile_k": int,
            "tile_c": int,
            "order": str,
            "double_buffer": bool,
        }
        if set(data) != set(types):
            raise ScheduleError(
                f"schedule: expected the keys {', '.join(types)}, got {shown(', '.join(map(str, data)))}"
            )
        for name, kind in types.items():
            if type(data[name]) is not kind:
                raise ScheduleError(f"schedule: '{name}' must be {kind.__name__}, got {shown(data[name])}")
        if data["order"] not in ORDERS:
            raise ScheduleError(
                f"schedule: unknown loop order {shown(data['order'])}; known are {', '.join(ORDERS)}"
            )
        return Knobs(**data)

    def check(self, workload: Workload, hardware: HardwareConfig, layer: str) -> None:
        """ScheduleError if a tile does not divide its extent, or the loop order is unknown."""
        extents = {"tile_h": workload.oh, "tile_w": workload.ow, "tile_k": workload.kb, "tile_c": workload.cv}
        for name, extent in extents.items():
            tile = getattr(self, name)
            if tile < 1 or extent % tile:
                raise ScheduleError(
                    f"layer '{layer}': {name}={tile} does not divide {extent}; use one of {divisors(extent)}"
                )
        if self.tile_k % hardware.group_blocks:
            raise ScheduleError(
                f"layer '{layer}': tile_k={self.tile_k} is not a multiple of the {hardware.group_blocks} "
                f"blocks of a channel group"
            )
        if self.order not in ORDERS:
            raise ScheduleError(
                f"layer '{layer}': unknown loop order '{self.order}'; known are {', '.join(ORDERS)}"
            )


def divisors(extent: int) -> list[int]:
    """All divisors, ascending."""
    return [d for d in range(1, extent + 1) if extent % d == 0]


def all_knobs(workload: Workload, hardware: HardwareConfig) -> Iterator[Knobs]:
    """Every combination of perfect tiles, loop order and buffering, whether it fits or not."""
    groups = hardware.group_blocks
    tiles = (
        divisors(workload.oh),
        divisors(workload.ow),
        [groups * d for d in divisors(workload.kb // groups)],
        divisors(workload.cv),
    )
    for tile_h, tile_w, tile_k, tile_c, order, double in product(*tiles, ORDERS, (True, False)):
        yield Knobs(tile_h, tile_w, tile_k, tile_c, order, double)
