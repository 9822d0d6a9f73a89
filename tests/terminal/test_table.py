"""Tables show what fits, and name what they leave out."""

from __future__ import annotations

import pytest

from tvm_vsq.errors import InputError
from tvm_vsq.terminal import Column, Kind, Printed, Table, terminal_width

LAYERS = [f"encoder.layer.{number}.attention.self.{part}" for number in (1, 11) for part in ("query", "key")]


def a_table(names=LAYERS):
    columns = (
        Column("layer", kind=Kind.NAME),
        Column("op", 3, Kind.WORD),
        Column("cycles"),
        Column("share of all", 1),
        Column("why it is so", 2, Kind.TEXT),
    )
    text = "waits for what comes from memory " * 4
    rows = [(name, "convolution", f"{12_345_678 + i:,}", "12.5%", text) for i, name in enumerate(names)]
    return Table("A title that is longer than a narrow terminal is wide", columns, rows)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_no_line_is_wider_than_asked_for(width):
    lines = a_table().lines(width)
    assert max(map(len, lines)) <= width
    assert all(any(f"{12_345_678 + i:,}" in line for line in lines) for i in range(len(LAYERS)))


def test_a_table_is_text_in_a_notebook_too(monkeypatch):
    lines = a_table().lines(100)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert a_table().lines(100) == lines


def test_columns_go_by_their_rank_and_are_named_below():
    narrow, wide = "\n".join(a_table().lines(50)), "\n".join(a_table().lines(None))
    assert "12.5%" in narrow
    assert "convolution" not in narrow
    assert " ".join(narrow.split()).endswith("wide=True), shows also: op, why it is so")
    assert "convolution" in wide
    assert "shows also" not in wide


@pytest.mark.parametrize("width", range(40, 80, 3))
def test_names_that_are_cut_stay_apart(width):
    rows = [line for line in a_table().lines(width) if "12,345," in line]
    cells = [row.split("│")[1].strip() for row in rows]
    assert len(set(cells)) == len(LAYERS) or all("…" not in cell for cell in cells)


def test_a_name_is_cut_in_its_middle():
    text = "\n".join(a_table([f"{'x' * 40}.first", f"{'x' * 40}.second"]).lines(40))
    assert "….first" in text.replace("x", "")
    assert "….second" in text.replace("x", "")


def test_names_that_differ_in_their_middle_alone_are_shown_whole():
    names = [f"{'x' * 30}{middle}{'y' * 30}" for middle in "abc"]
    lines = [line.split("│")[1].strip() for line in a_table(names).lines(44) if line.startswith("│")]
    assert "".join(lines) == "".join(names)


class Result(Printed):
    summary = "one line"

    def _parts(self, wide):
        yield a_table()
        yield "a note " * 40


def test_a_result_is_as_wide_as_the_terminal(monkeypatch):
    for columns in (80, 120):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert terminal_width() == columns
        assert columns - 12 <= max(map(len, str(Result()).splitlines())) <= columns
    assert str(Result()) == Result().to_str(width=120)
    assert repr(Result()) == "<Result: one line>"


def test_without_a_terminal_there_are_80_columns(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("sys.__stdout__", None)
    assert terminal_width() == 80


@pytest.mark.parametrize("width", [39, 10_001, "80", 80.0, True])
def test_another_width_is_refused(width):
    with pytest.raises(InputError, match=f"width={width!r}: give an integer from 40 to 10000"):
        Result().to_str(width=width)
