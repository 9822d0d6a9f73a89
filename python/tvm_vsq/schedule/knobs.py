"""The schedule of a layer as data."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from tvm_vsq.errors import ScheduleError, shown

TILES = ("tile_h", "tile_w", "tile_k", "tile_c", "tile_n", "tile_r", "tile_s")
WHOLE = TILES[5:]
"""Those that may be None, which is all there is."""

Tiles = tuple[int, int, int, int, int, int | None, int | None]
"""Tile sizes, in the order of TILES."""

ORDERS = ("k_outer", "hw_outer")


@dataclass(frozen=True)
class Knobs:
    """Tile sizes and loop order of one layer.

    `tile_h` x `tile_w` output pixels of `tile_n` images, `tile_k` output blocks, `tile_c` input vectors,
    `tile_r` x `tile_s` taps of the kernel or window, None for all of them; each is 1 where a layer has no
    such dimension. The last tile along a dimension is what is left. `order`: "k_outer" keeps weights while
    pixels pass by, "hw_outer" keeps pixels while weights pass by. `double_buffer` gives every scratchpad
    buffer that is filled more than once two slots.
    """

    tile_h: int
    tile_w: int
    tile_k: int
    tile_c: int
    order: str = "k_outer"
    double_buffer: bool = True
    tile_n: int = 1
    tile_r: int | None = None
    tile_s: int | None = None

    @property
    def tiles(self) -> Tiles:
        """The tile sizes."""
        return (
            self.tile_h,
            self.tile_w,
            self.tile_k,
            self.tile_c,
            self.tile_n,
            self.tile_r,
            self.tile_s,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for databases; tiles of images and of kernels only where they are not the default."""
        values = {name: getattr(self, name) for name in (*_REQUIRED, *_OPTIONAL)}
        return {name: value for name, value in values.items() if _OPTIONAL.get(name, _NEVER) != value}

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Knobs:
        """Inverse of to_dict. ScheduleError names a key that is missing, unknown or of the wrong type."""
        if not set(_REQUIRED) <= set(data) <= {*_REQUIRED, *_OPTIONAL}:
            raise ScheduleError(
                f"schedule: expected the keys {', '.join(_REQUIRED)} and perhaps {', '.join(_OPTIONAL)}, got "
                f"{shown(', '.join(map(str, data)))}"
            )
        for name, value in data.items():
            kind = _REQUIRED.get(name, int)
            if type(value) is not kind:
                raise ScheduleError(f"schedule: '{name}' must be {kind.__name__}, got {shown(value)}")
        if data["order"] not in ORDERS:
            raise ScheduleError(
                f"schedule: unknown loop order {shown(data['order'])}; known are {', '.join(ORDERS)}"
            )
        return Knobs(**data)


_NEVER = object()
_OPTIONAL: dict[str, Any] = {f.name: f.default for f in fields(Knobs) if f.name in TILES[4:]}
_REQUIRED: dict[str, type] = {**dict.fromkeys(TILES[:4], int), "order": str, "double_buffer": bool}
