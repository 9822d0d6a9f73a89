"""Where tensors that are moved lie: in one another, so that nothing has to be moved.

A tensor's home is a part of another one's bytes. What makes up a concatenation is stored where that has it; a
slice is where the tensor is that it is cut from. So every move is a view, unless two of them want one tensor
in two places: then somebody has to copy.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from tvm_vsq.placement.moves import Concat, Move, Permute, Reshape, Slice

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Home:
    """Records of a tensor of `shape` [..., CV]: from the record `offset` of tensor `root` on, with `strides`.

    Axes of one record have stride 0.
    """

    root: str
    shape: Shape
    strides: Shape
    offset: int = 0

    @staticmethod
    def own(name: str, shape: Shape) -> Home:
        """One after the other, in the tensor's own bytes."""
        return Home(name, shape, tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))).tidy()

    def tidy(self) -> Home:
        """Comparable."""
        pairs = zip(self.shape, self.strides, strict=True)
        return replace(self, strides=tuple(stride if extent > 1 else 0 for extent, stride in pairs))

    def part(self, move: Slice) -> Home:
        """That of a slice."""
        offset = self.offset + sum(b * s for b, s in zip(move.begin, self.strides, strict=True))
        shape = tuple(map(len, map(range, move.begin, move.end, move.stride)))
        strides = tuple(a * b for a, b in zip(self.strides, move.stride, strict=True))
        return Home(self.root, shape, strides, offset).tidy()

    def between(self, axis: int, begin: int, end: int) -> Home:
        """Positions begin to end of one axis."""
        starts, ends = [0] * len(self.shape), list(self.shape)
        starts[axis], ends[axis] = begin, end
        return self.part(Slice(tuple(starts), tuple(ends), (1,) * len(starts)))

    def permuted(self, axes: Shape) -> Home:
        """The same records with their axes in another order."""
        shape, strides = (tuple(numbers[axis] for axis in axes) for numbers in (self.shape, self.strides))
        return replace(self, shape=shape, strides=strides)

    def viewed(self, shape: Shape) -> Home | None:
        """The same records in another shape; None if no strides give them."""
        # NumPy knows when; nothing is read, so that any memory will do
        view = np.lib.stride_tricks.as_strided(np.zeros(1, np.int8), self.shape, self.strides)
        try:
            view.shape = shape
        except (AttributeError, ValueError):
            return None
        return Home(self.root, shape, view.strides, self.offset).tidy()


@dataclass(frozen=True)
class Moved:
    """The tensor `name` is made from `operands` by `move`."""

    name: str
    move: Move
    operands: tuple[str, ...]


@dataclass(frozen=True)
class Homes:
    """of: by tensor. misplaced: (tensor, position) of operands of concatenations that are not where these
    have them. scattered: tensors that are not in the shape in which somebody reads them.
    """

    of: Mapping[str, Home]
    misplaced: tuple[tuple[str, int], ...]
    scattered: tuple[str, ...]


def find_homes(
    shapes: Mapping[str, Shape],
    moves: Sequence[Moved],
    accesses: Iterable[tuple[str, Shape]] = (),
    fixed: Collection[str] = (),
) -> Homes:
    """The home of every tensor.

    shapes: of records [..., CV], of all tensors. moves: in program order. accesses: in which other shapes
    layers store or read some. fixed: tensors of which nothing lies in between, as the host has them, such as
    inputs.
    """
    return _Finder(shapes, moves, tuple(accesses), frozenset(fixed)).run()


@dataclass
class _Finder:
    shapes: Mapping[str, Shape]
    moves: Sequence[Moved]
    accesses: tuple[tuple[str, Shape], ...]
    fixed: frozenset[str]
    found: dict[str, Home] = field(default_factory=dict)
    misplaced: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._made = {moved.name: moved for moved in self.moves}
        self._accessed: dict[str, list[Shape]] = {}
        for name, shape in self.accesses:
            self._accessed.setdefault(name, []).append(shape)

    def run(self) -> Homes:
        # a later concatenation holds the most of what several of them share
        for moved in reversed(self.moves):
            if isinstance(moved.move, Concat):
                self._place(moved, moved.move.axis)
            elif isinstance(moved.move, Reshape):
                self._place_view(moved)
        homes = {name: self._home(name) for name in self.shapes}
        scattered = [
            name
            for name, home in homes.items()
            if not _has_all(home, self._accessed.get(name, []))
            or (name in self.fixed and home.strides != Home.own(name, home.shape).strides)
        ]
        return Homes(homes, tuple(self.misplaced), tuple(scattered))

    def _home(self, name: str) -> Home:
        """As far as it is known by now; else in the tensor's own bytes, where it is from now on."""
        moved = self._made.get(name)
        if moved is not None and not isinstance(moved.move, Concat):
            source = self._home(moved.operands[0])
            if isinstance(moved.move, Slice):
                return source.part(moved.move)
            if isinstance(moved.move, Permute):
                return source.permuted(moved.move.axes)
            seen = source.viewed(self.shapes[name])
            # what cannot be seen so is found scattered: nothing can read it
            return seen or Home(source.root, self.shapes[name], (-1,) * len(self.shapes[name]), source.offset)
        return self.found.setdefault(name, Home.own(name, self.shapes[name]))

    def _place_view(self, moved: Moved) -> None:
        """Give what is permuted and then seen in another shape a home in which it can be, if it has none
        yet.
        """
        (operand,) = moved.operands
        if not isinstance(self._made.get(operand), Moved) or not isinstance(
            self._made[operand].move, Permute
        ):
            return
        owner = self._owner(operand)
        is_free = owner not in self.found and owner not in self.fixed
        seen = self._from(Home.own(owner, self.shapes[owner]), owner, moved.name)
        if is_free and (seen is None or not _has_all(seen, self._accessed.get(moved.name, []))):
            self._settle(moved.name, Home.own(moved.name, self.shapes[moved.name]))

    def _from(self, home: Home, owner: str, name: str) -> Home | None:
        """Where `name` is that is made of `owner` by views alone, if that is at `home`; None if nowhere."""
        if name == owner:
            return home
        moved = self._made[name]
        source = self._from(home, owner, moved.operands[0])
        if source is None or isinstance(moved.move, Concat):
            return None
        if isinstance(moved.move, Slice):
            return source.part(moved.move)
        if isinstance(moved.move, Permute):
            return source.permuted(moved.move.axes)
        return source.viewed(self.shapes[name])

    def _place(self, moved: Moved, axis: int) -> None:
        """Give a concatenation its home, and its operands theirs in it."""
        if moved.name not in self.found and moved.name not in self.fixed:
            home = self._around(moved, axis) or self._whole(moved, axis)
            if home is not None:
                self.found[moved.name] = home
        whole = self._home(moved.name)
        for position, (operand, wanted) in enumerate(self._parts(moved, axis, whole)):
            if not self._settle(operand, wanted):
                self.misplaced.append((moved.name, position))

    def _parts(self, moved: Moved, axis: int, whole: Home) -> Iterator[tuple[str, Home]]:
        begin = 0
        for operand in moved.operands:
            extent = self.shapes[operand][axis]
            yield operand, whole.between(axis, begin, begin + extent)
            begin += extent

    def _whole(self, moved: Moved, axis: int) -> Home | None:
        """A home whose parts lie one behind the other, if that suits the host, the usual one does not, and no
        layer reads the whole as it is: it would find its records far apart.
        """
        own = Home.own(moved.name, self.shapes[moved.name])
        if self._accessed.get(moved.name):
            return None
        rest = [place for place in range(len(own.shape)) if place != axis]
        order = (axis, *rest)
        apart = Home.own(moved.name, tuple(own.shape[place] for place in order))
        turned = apart.permuted(tuple(order.index(place) for place in range(len(order))))
        for home in (own, turned):
            if all(self._suits_host(operand, part) for operand, part in self._parts(moved, axis, home)):
                return None if home is own else turned
        return None

    def _suits_host(self, name: str, wanted: Home) -> bool:
        """Whether what the host has of an operand, or of what it is a view of, would have no gaps."""
        found = self._undone(name, wanted)
        if found is None:
            return False
        owner, home = found
        return all(
            seen is not None and seen.strides == Home.own(fixed, self.shapes[fixed]).strides
            for fixed in self.fixed
            if self._owner(fixed) == owner
            for seen in [self._from(home, owner, fixed)]
        )

    def _undone(self, name: str, wanted: Home) -> tuple[str, Home] | None:
        """What a tensor is a view of, and where that is if the tensor is where it is wanted."""
        owner, moved, home = name, self._made.get(name), wanted
        while moved is not None and isinstance(moved.move, Reshape | Permute):
            (owner,) = moved.operands
            undone = _undone(moved.move, home, self.shapes[owner])
            if undone is None:
                return None
            home, moved = undone, self._made.get(owner)
        return owner, home

    def _settle(self, name: str, wanted: Home) -> bool:
        """Whether the tensor is, or can be put, where it is wanted."""
        found = self._undone(name, wanted)
        if found is None:
            return False
        (owner, home), moved = found, self._made.get(found[0])
        is_cut = moved is not None and isinstance(moved.move, Slice)
        if owner in self.found or is_cut:
            return self._home(name) == wanted
        if owner in self.fixed and home.strides != Home.own(owner, self.shapes[owner]).strides:
            return False
        if not _has_all(home, self._accessed.get(owner, [])):
            return False
        self.found[owner] = home
        return True

    def _around(self, moved: Moved, axis: int) -> Home | None:
        """The home of a concatenation whose operands all have one already, next to each other."""
        homes = []
        for operand in moved.operands:
            if self._owner(operand) not in self.found:
                return None
            homes.append(self._home(operand))
        first, begin = homes[0], 0
        strides = list(first.strides)
        if len(homes) > 1:
            step = (homes[1].offset - first.offset) // self.shapes[moved.operands[0]][axis]
            strides[axis] = step
        whole = Home(first.root, self.shapes[moved.name], tuple(strides), first.offset).tidy()
        for operand, home in zip(moved.operands, homes, strict=True):
            extent = self.shapes[operand][axis]
            if whole.between(axis, begin, begin + extent) != home:
                return None
            begin += extent
        return whole

    def _owner(self, name: str) -> str:
        moved = self._made.get(name)
        while moved is not None and not isinstance(moved.move, Concat):
            (name,) = moved.operands
            moved = self._made.get(name)
        return name


def _undone(move: Move, home: Home, shape: Shape) -> Home | None:
    """Where the operand of a view is whose result is at `home`; None if no strides say so."""
    if isinstance(move, Permute):
        inverse = tuple(move.axes.index(axis) for axis in range(len(move.axes)))
        return home.permuted(inverse)
    return home.viewed(shape)


def _has_all(home: Home, shapes: Iterable[Shape]) -> bool:
    is_placed = all(stride >= 0 for stride in home.strides)
    return is_placed and all(home.viewed(shape) is not None for shape in shapes)
