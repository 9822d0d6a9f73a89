"""Pages as text: escaping, sorting keys, errors."""

from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser

import pytest

from tvm_vsq.errors import InputError, ToolError
from tvm_vsq.pages import (
    SERIES,
    Code,
    Column,
    Details,
    Fact,
    Figure,
    Page,
    Paragraph,
    Section,
    Table,
    glossary,
    new_figure,
)
from tvm_vsq.pages.terms import TERMS

HOSTILE = "a</script><b>&`c`\u2028"


def page(*parts, title="Title", summary="Summary."):
    return Page(title, summary, (Section("Section", parts),))


class Reader(HTMLParser):
    """Elements with their attributes and text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.texts = [], [], {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        for tag in set(self.open):
            self.texts.setdefault(tag, []).append(data)


def figure(text="point"):
    made = new_figure()
    made.add_scatter(x=[1.0, float("nan")], y=[1, 2], text=[text, text], marker_color=SERIES[0])
    return made


def test_text_is_text_wherever_it_stands():
    parts = (
        Paragraph(HOSTILE),
        Code(HOSTILE),
        Table(HOSTILE, (Column(HOSTILE, unit=HOSTILE, help=HOSTILE),), [[HOSTILE]], total=[HOSTILE]),
        Figure(figure(HOSTILE), HOSTILE, HOSTILE),
        Details(HOSTILE, (Paragraph(HOSTILE),)),
    )
    made = Page(HOSTILE, HOSTILE, (Section(HOSTILE, parts),), (Fact(HOSTILE, HOSTILE, HOSTILE),))
    text = made.to_html("beside")
    found = Reader(text)
    assert "b" not in {tag for tag, _ in found.tags}
    # the library, the figure and the page's own script
    assert [tag for tag, _ in found.tags].count("script") == text.count("</script>") == 3
    (plot,) = re.findall(r'<script type="application/json">(.*?)</script>', text)
    assert json.loads(plot)["data"][0]["text"] == [HOSTILE, HOSTILE]


def test_backticks_make_code():
    assert "<p>run <code>a &lt;b&gt;</code> now</p>" in page(Paragraph("run `a <b>` now")).to_html()


def test_numbers_are_sorted_by_what_they_are_and_not_by_what_is_shown():
    columns = (Column("name"), Column("x", ",.1f"), Column("share", ".0%", bar=True))
    rows = [["first", 1234.56, 0.5], ["second", None, float("nan")], ["third", float("inf"), 2]]
    found = Reader(page(Table("T", columns, rows)).to_html())
    cells = [attrs for tag, attrs in found.tags if tag in ("td", "th") and attrs.get("scope") != "col"]
    assert [cell.get("data-number") for cell in cells] == [
        *(None, "1234.56", "0.5"),
        *(None, None, None),
        *(None, "Infinity", "2"),
    ]
    assert "".join(found.texts["td"]) == "1,234.650%––∞200%"
    assert [cell.get("style") for cell in cells if "style" in cell] == ["--share:25.00%", "--share:100.00%"]


def test_a_row_of_another_length_is_no_row():
    with pytest.raises(ValueError, match="table 'T': 2 columns, but a row"):
        Table("T", (Column("a"), Column("b")), [["x"]])


def test_the_same_parts_give_the_same_page():
    parts = (Figure(figure(), "f"), glossary("tile", "MAC"))
    assert page(*parts).to_html() == page(Figure(figure(), "f"), glossary("MAC", "tile")).to_html()


def test_a_page_without_figures_holds_no_library_and_needs_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly", None)
    text = page(Paragraph("words")).to_html()
    assert len(text) < 50_000


def test_what_brings_plotly_is_named_where_it_is_missing(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "plotly"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(ToolError, match=r"pages with plots need plotly.*pip install 'tvm-vsq\[report\]'"):
        new_figure()


def test_a_place_of_the_library_that_is_not_known_is_refused():
    with pytest.raises(InputError, match="plotly='cdn': give 'inline' or 'beside'"):
        page(Paragraph("words")).to_html("cdn")


def test_every_term_is_explained_by_a_sentence():
    assert list(glossary("tile", "MAC").terms) == ["MAC", "tile"]
    assert all(meaning.endswith(".") for meaning in TERMS.values())
    assert glossary().terms == dict(sorted(TERMS.items(), key=lambda term: term[0].lower()))
