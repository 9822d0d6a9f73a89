"""make bench-paper: encoders are counted by two of their layers, wide sums cost bytes, tables are whole."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
KEY = ("4/4/4/4", 16, None)


@pytest.fixture
def profiles(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The script, with a BERT-base of three narrow layers."""
    pytest.importorskip("transformers")
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(BENCHMARKS / "paper"))
    script = importlib.import_module("profiles")
    small = script.ENCODERS["MiniLM"].__class__("small", 3, sys.modules["shapes"].bert(128, 2))
    monkeypatch.setitem(script.ENCODERS, "base", small)
    yield script
    for name in set(sys.modules) - before:
        path = Path(getattr(sys.modules[name], "__file__", None) or "/")
        if path.is_relative_to(BENCHMARKS):
            del sys.modules[name]


@pytest.mark.large
def test_layers_are_counted_as_if_all_were_compiled(profiles, capsys):
    hardware = profiles.accelerator(KEY, "BERT-base")
    identity, found = profiles.identity("BERT-base", hardware), profiles.count("BERT-base", hardware)
    assert {"row_ops", "table_lane_ops"} <= {name for name, number in found.events.items() if number}
    profiles.check("BERT-base", KEY, {identity: found})
    assert capsys.readouterr().out.startswith("BERT-base 4/4/4/4 V = 16: all layers compiled differ by 0.0")
    longer = replace(found, cycles=round(1.01 * found.cycles))
    with pytest.raises(SystemExit, match=r"4/4/4/4 V = 16: .* by \d\.\d+% .*, more than 0\.20%"):
        profiles.check("BERT-base", KEY, {identity: longer})


@pytest.mark.large
def test_what_is_added_to_rows_costs_dram_unless_it_is_kept_in_vectors(profiles):
    hardware = profiles.accelerator(KEY, "BERT-base")
    wide, narrow = (profiles.count(name, hardware) for name in ("BERT-base", profiles.SUMS_IN_VECTORS))
    for way in ("read", "write"):
        assert narrow.events[f"dram_{way}_bytes"] < wide.events[f"dram_{way}_bytes"]


def test_every_network_is_counted_on_every_machine(profiles):
    wanted = set(profiles.wanted())
    for name in profiles.NETWORKS:
        assert {(name, (n, size, None)) for n in profiles.FORMATS for size in profiles.SIZES} <= wanted


def test_a_line_has_a_cell_for_every_heading(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS / "paper"))
    table = importlib.import_module("markdown_tables").table
    assert table(["V", "area"], [["16", "0.81"]]) == "| V | area |\n| --- | ---: |\n| 16 | 0.81 |"
    with pytest.raises(ValueError, match=r"2 cells below 3 headings: 16 \| 0\.81"):
        table(["V", "area", "energy"], [["16", "0.81"]])
