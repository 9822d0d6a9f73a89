"""Homes of moved tensors, against arrays that are really moved."""

from __future__ import annotations

import random
from math import prod

import numpy as np
import pytest
from tests.seeds import seeds

from tvm_vsq.placement.homes import Home, Moved, find_homes
from tvm_vsq.placement.moves import Concat, Permute, Reshape, Slice


class _Memory:
    """Tensors with numbers of their own in every record, written to where their homes are."""

    def __init__(self, homes, owners):
        sizes = {}
        for home in homes.values():
            end = home.offset + sum((n - 1) * s for n, s in zip(home.shape, home.strides, strict=True)) + 1
            sizes[home.root] = max(sizes.get(home.root, 0), end)
        self.bytes = {root: np.full(size, -1, np.int64) for root, size in sizes.items()}
        self.values = {}
        for number, (name, shape) in enumerate(owners.items()):
            self.values[name] = np.arange(prod(shape)).reshape(shape) + 1000 * number
            self.at(homes[name])[...] = self.values[name]

    def at(self, home):
        flat = self.bytes[home.root][home.offset :]
        return np.lib.stride_tricks.as_strided(flat, home.shape, [8 * stride for stride in home.strides])


def _found(moved, values):
    operands = [values[name][..., None] for name in moved.operands]
    return moved.move.on_arrays(operands)[..., 0]


def _random_network(draw):
    owners = {
        f"t{i}": (draw.choice([1, 2, 4]), draw.choice([2, 4]), draw.choice([1, 2, 3])) for i in range(5)
    }
    shapes, moves = dict(owners), []
    for number in range(draw.randrange(1, 7)):
        name, kind = f"m{number}", draw.choice(["concat", "concat", "slice", "reshape"])
        first = draw.choice(sorted(shapes))
        shape = shapes[first]
        if kind == "concat":
            axis = draw.randrange(3)
            others = [
                other
                for other in sorted(shapes)
                if all(a == b for i, (a, b) in enumerate(zip(shapes[other], shape, strict=True)) if i != axis)
            ]
            operands = [first, *draw.sample(others, draw.randrange(len(others)))][:4]
            move, result = Concat(axis), list(shape)
            result[axis] = sum(shapes[operand][axis] for operand in operands)
        elif kind == "slice":
            begin = tuple(draw.randrange(extent) for extent in shape)
            stride = tuple(draw.choice([1, 1, 2]) for _ in shape)
            move, operands = Slice(begin, shape, stride), [first]
            result = [len(range(b, e, s)) for b, e, s in zip(begin, shape, stride, strict=True)]
        else:
            result = draw.choice([(shape[1], shape[0], shape[2]), (1, shape[0] * shape[1], shape[2])])
            move, operands = Reshape(tuple(result)), [first]
        moves.append(Moved(name, move, tuple(operands)))
        shapes[name] = tuple(result)
    return owners, shapes, moves


@pytest.mark.parametrize("seed", seeds(300))
def test_every_tensor_is_found_at_home(seed):
    owners, shapes, moves = _random_network(random.Random(seed))
    homes = find_homes(shapes, moves)
    wrong = {name for name, _ in homes.misplaced} | set(homes.scattered)
    memory = _Memory({name: home for name, home in homes.of.items() if min(home.strides) >= 0}, owners)
    for moved in moves:
        wrong |= {moved.name} if wrong & {*moved.operands} else set()
        memory.values[moved.name] = _found(moved, memory.values)
        if moved.name not in wrong:
            found = memory.at(homes.of[moved.name])
            np.testing.assert_array_equal(found, memory.values[moved.name], err_msg=str(moved))


def test_what_several_concatenations_share_lies_in_the_longest():
    shapes = {"x": (2, 2, 1), "f": (2, 2, 2), "g": (2, 2, 2), "xf": (2, 2, 3), "xfg": (2, 2, 5)}
    moves = [Moved("xf", Concat(2), ("x", "f")), Moved("xfg", Concat(2), ("x", "f", "g"))]
    homes = find_homes(shapes, moves)
    assert homes.misplaced == ()
    assert homes.of["xf"] == Home("xfg", (2, 2, 3), (10, 5, 1))
    assert homes.of["g"] == Home("xfg", (2, 2, 2), (10, 5, 1), 3)


def test_rows_and_columns_interleave():
    parts = dict.fromkeys(("a", "b", "c", "d"), (2, 3, 2))
    shapes, moves = dict(parts), []
    for pair, row in ((("a", "b"), "even"), (("c", "d"), "odd")):
        for name in pair:
            shapes[f"{name} apart"] = (2, 3, 1, 2)
            moves.append(Moved(f"{name} apart", Reshape((2, 3, 1, 2)), (name,)))
        shapes[f"{row} both"], shapes[row], shapes[f"{row} apart"] = (2, 3, 2, 2), (2, 6, 2), (2, 1, 6, 2)
        moves.append(Moved(f"{row} both", Concat(2), tuple(f"{name} apart" for name in pair)))
        moves.append(Moved(row, Reshape((2, 6, 2)), (f"{row} both",)))
        moves.append(Moved(f"{row} apart", Reshape((2, 1, 6, 2)), (row,)))
    shapes["rows"], shapes["all"] = (2, 2, 6, 2), (4, 6, 2)
    moves.append(Moved("rows", Concat(1), ("even apart", "odd apart")))
    moves.append(Moved("all", Reshape((4, 6, 2)), ("rows",)))
    homes = find_homes(shapes, moves)
    assert homes.misplaced == homes.scattered == ()
    assert homes.of["d"] == Home("rows", (2, 3, 2), (24, 4, 1), 14)


def test_what_is_permuted_and_then_seen_in_another_shape_lies_as_it_is_read():
    shapes = {"x": (2, 3, 4), "turned": (4, 2, 3), "rows": (8, 3)}
    moves = [Moved("turned", Permute((2, 0, 1)), ("x",)), Moved("rows", Reshape((8, 3)), ("turned",))]
    homes = find_homes(shapes, moves, [("rows", (8, 3))])
    assert homes.misplaced == homes.scattered == ()
    assert homes.of["rows"] == Home("rows", (8, 3), (3, 1))
    assert homes.of["x"] == Home("rows", (2, 3, 4), (3, 1, 6))


def test_a_tensor_in_two_places_is_misplaced_once():
    shapes = {"x": (2, 1), "xx": (2, 2)}
    assert find_homes(shapes, [Moved("xx", Concat(1), ("x", "x"))]).misplaced == (("xx", 1),)


def test_what_the_host_has_is_not_moved():
    shapes = {"x": (2, 1), "y": (2, 1), "xy": (2, 2)}
    moves = [Moved("xy", Concat(1), ("x", "y"))]
    assert find_homes(shapes, moves, fixed=["xy"]).misplaced == ()
    scattered = dict(shapes, x=(2, 3), y=(2, 3), xy=(2, 6))
    accesses = [("xy", (2, 6)), ("xy", (12,))]  # in one piece, and in this order
    assert find_homes(scattered, moves, accesses, fixed=["x"]).misplaced == (("xy", 0),)


def test_what_the_host_has_lies_in_a_concatenation_without_gaps():
    shapes = {"x": (1, 2, 3), "y": (1, 1, 3), "xy": (1, 3, 3)}
    homes = find_homes(shapes, [Moved("xy", Concat(1), ("x", "y"))], fixed=["x", "y"])
    assert homes.misplaced == homes.scattered == ()
    assert homes.of["y"] == Home("xy", (1, 1, 3), (0, 0, 1), 6)
    # behind each other along an inner axis: the concatenation is turned for it, as nothing reads it in order
    shapes = {"x": (4, 2), "y": (4, 1), "xy": (4, 3), "blocks": (2, 4)}
    moves = [Moved("xy", Concat(1), ("x", "y")), Moved("blocks", Permute((1, 0)), ("x",))]
    homes = find_homes(shapes, moves, fixed=["blocks"])
    assert homes.misplaced == homes.scattered == ()
    assert homes.of["xy"] == Home("xy", (4, 3), (1, 4))
    assert homes.of["blocks"] == Home("xy", (2, 4), (4, 1))


def test_a_slice_that_the_host_reads_is_scattered():
    shapes = {"x": (4, 2), "half": (2, 2), "left": (4, 1)}
    moves = [
        Moved("half", Slice((0, 0), (2, 2), (1, 1)), ("x",)),
        Moved("left", Slice((0, 0), (4, 1), (1, 1)), ("x",)),
    ]
    assert find_homes(shapes, moves, fixed=["half", "left"]).scattered == ("left",)


def test_layers_that_cannot_read_a_tensor_so_are_named():
    shapes = {"x": (4, 4, 1), "inside": (2, 2, 1)}
    moves = [Moved("inside", Slice((1, 1, 0), (3, 3, 1), (1, 1, 1)), ("x",))]
    assert find_homes(shapes, moves, [("inside", (2, 2, 1))]).scattered == ()
    assert find_homes(shapes, moves, [("inside", (4, 1))]).scattered == ("inside",)
