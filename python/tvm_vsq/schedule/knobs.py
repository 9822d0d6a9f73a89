"""The schedule of a layer as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tvm_vsq.errors import ScheduleError, shown

TILES = ("tile_h", "tile_w", "tile_k", "tile_c")
Tiles = tuple[int, int, int, int]
"""Tile sizes, in the order of TILES."""

ORDERS = ("k_outer", "hw_outer")


@dataclass(frozen=True)
class Knobs:
    """Tile sizes and loop order of one layer.

    `tile_h` x `tile_w` output pixels, `tile_k` output blocks, `tile_c` input vectors: each divides its
    extent, and is 1 where a layer has no such dimension. `order`: "k_outer" keeps weights while pixels pass
    by, "hw_outer" keeps pixels while weights pass by. `double_buffer` gives every scratchpad buffer that is
    filled more than once two slots.
    """

    tile_h: int
    tile_w: int
    tile_k: int
    tile_c: int
    order: str = "k_outer"
    double_buffer: bool = True

    @property
    def tiles(self) -> Tiles:
        """The tile sizes."""
        return (self.tile_h, self.tile_w, self.tile_k, self.tile_c)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for databases."""
        return asdict(self)

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Knobs:
        """Inverse of to_dict. ScheduleError names a key that is missing, unknown or of the wrong type."""
        types = {**dict.fromkeys(TILES, int), "order": str, "double_buffer": bool}
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
