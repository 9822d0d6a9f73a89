"""Names that are too long for their column: the middle makes room, as both ends tell layers apart."""

from __future__ import annotations

from collections.abc import Sequence

_LEAST = 3  # characters that stay at each end


def shortened(names: Sequence[str], width: int) -> list[str]:
    """`names` of at most `width` characters each, with an ellipsis for what is left out.

    All are cut at one place, at which none becomes the same as another; where there is no such place they are
    left as they are, to be folded.
    """
    if all(len(name) <= width for name in names):
        return list(names)
    middle = width // 2
    heads = sorted(range(_LEAST, width - _LEAST), key=lambda head: abs(head - middle))
    for head in heads:
        found = [_cut(name, head, width) for name in names]
        if len(set(found)) == len(set(names)):
            return found
    return list(names)


def _cut(name: str, head: int, width: int) -> str:
    if len(name) <= width:
        return name
    return f"{name[:head]}…{name[len(name) - (width - head - 1) :]}"
