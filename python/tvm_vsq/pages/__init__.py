"""Pages that a person reads: one self-contained HTML file, made of parts.

    page = Page(
        "Title",
        "The one sentence that says it all.",
        facts=(Fact("cycles", "41,233", "0.08 ms at 500 MHz"),),
        sections=(
            Section(
                "Cost",
                (
                    Paragraph("What the plot shows; `this` is code."),
                    Figure(plotly_figure, "energy over accuracy, a point for each format"),
                    Table("Points", (Column("format"), Column("energy", ",.1f", unit="nJ")), rows),
                    Details("4/4/4/4 on vsq-accel", (Table(...),), name="point-0"),
                ),
            ),
            Section("Glossary", (glossary("tile", "roofline"),)),
        ),
    )
    page.write("page.html")

A point of a figure whose `customdata` is the name of a Details opens it when it is clicked, and so does a
`Link` in a table. Colours of traces are `SERIES`: they are those of the reader's theme.
"""

from tvm_vsq.pages.page import Page, Section
from tvm_vsq.pages.parts import (
    SERIES,
    Cell,
    Code,
    Column,
    Details,
    Fact,
    Figure,
    Glossary,
    Link,
    Paragraph,
    Part,
    Table,
    as_text,
    name_ticks,
    new_figure,
)
from tvm_vsq.pages.terms import glossary
from tvm_vsq.pages.units import quantity

__all__ = [
    "SERIES",
    "Cell",
    "Code",
    "Column",
    "Details",
    "Fact",
    "Figure",
    "Glossary",
    "Link",
    "Page",
    "Paragraph",
    "Part",
    "Section",
    "Table",
    "as_text",
    "glossary",
    "name_ticks",
    "new_figure",
    "quantity",
]
