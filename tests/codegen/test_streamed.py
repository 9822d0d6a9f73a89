"""Pieces of what a scratchpad does not hold at once: each is where it is said to be, and few are loaded."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tvm_vsq.codegen.streamed import pieces_of


@given(st.integers(2, 60), st.integers(1, 3), st.data())
def test_every_piece_is_there(groups, group, data):
    room = groups * group
    total = data.draw(st.integers(room + 1, 4 * room), label="total")
    most = group * data.draw(st.integers(1, groups), label="most")
    held = [-1] * room
    for tile in range(4):
        seen = []
        for piece in pieces_of(total, room, most, tile, group):
            entries = list(range(piece.first, piece.first + piece.count))
            assert 0 < piece.count <= most
            assert piece.first % group == 0
            assert piece.count % group == 0 or piece.first + piece.count == total
            if piece.loaded:
                held[piece.place : piece.place + piece.count] = entries
            assert held[piece.place : piece.place + piece.count] == entries
            seen += entries
        assert sorted(seen) == list(range(total))


@given(st.integers(2, 60), st.data())
def test_what_has_no_room_is_loaded_for_each_tile_and_nothing_else(room, data):
    total = data.draw(st.integers(room + 1, 2 * room), label="total")
    loaded = [
        sum(piece.count for piece in pieces_of(total, room, 7, tile) if piece.loaded) for tile in range(3)
    ]
    assert loaded == [total, total - room, total - room]


@given(st.integers(2, 60), st.data())
def test_of_more_one_half_is_loaded_while_the_other_is_read(room, data):
    total = data.draw(st.integers(2 * room + 1, 5 * room), label="total")
    for tile in range(2):
        pieces = list(pieces_of(total, room, room, tile))
        assert all(piece.loaded for piece in pieces)
        for one, other in pairwise(pieces):
            assert {one.place, other.place} == {0, room // 2}
            assert one.count <= room // 2
