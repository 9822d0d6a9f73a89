"""A page, and how it becomes one file."""

from __future__ import annotations

import base64
import gzip
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import jinja2
from markupsafe import Markup, escape

from tvm_vsq.errors import InputError
from tvm_vsq.extras import extra
from tvm_vsq.files import check_output, write_text
from tvm_vsq.pages.parts import Details, Fact, Figure, Part

_LIBRARY = "plotly.min.js"


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    heading: str
    parts: Sequence[Part]

    @property
    def name(self) -> str:
        """Of its anchor."""
        return re.sub(r"\W+", "-", self.heading.lower()).strip("-")


@dataclass(frozen=True)
class Page:
    """A title, one sentence that says what matters, the numbers that go with it, and sections."""

    title: str
    summary: str
    sections: Sequence[Section]
    facts: Sequence[Fact] = ()

    def to_html(self, plotly: Literal["inline", "beside"] = "inline") -> str:
        """The page as text. The same parts give the same text.

        plotly: "inline" packs the library that draws into the page (2 MB), "beside" refers to a file
        `plotly.min.js` in the page's folder. A page without figures has neither.
        Raises ToolError if there are figures and plotly is not installed.
        """
        if plotly not in ("inline", "beside"):
            raise InputError(f"plotly={plotly!r}: give 'inline' or 'beside'")
        has_figures = any(isinstance(part, Figure) for part in self._parts())
        library = {"inline": _packed(), "beside": _LIBRARY}[plotly] if has_figures else ""
        return _environment().get_template("page.html.j2").render(page=self, plotly=plotly, library=library)

    def write(self, path: str | os.PathLike[str], plotly: Literal["inline", "beside"] = "inline") -> None:
        """Write `to_html(plotly)`, and the library where it is to lie beside the page and does not yet.

        Raises InputError if a file cannot be written.
        """
        target = check_output(path)
        text = self.to_html(plotly)
        library = Path(target).with_name(_LIBRARY)
        if plotly == "beside" and f'src="{_LIBRARY}"' in text and not library.exists():
            write_text(library, _library())
        write_text(target, text)

    def _parts(self) -> Iterator[Part]:
        for section in self.sections:
            yield from _with_inner(section.parts)


def _with_inner(parts: Sequence[Part]) -> Iterator[Part]:
    for part in parts:
        yield part
        if isinstance(part, Details):
            yield from _with_inner(part.parts)


def _library() -> str:
    offline: Any = extra("plotly.offline", "report", "pages with plots")
    return str(offline.get_plotlyjs())


@lru_cache(maxsize=1)
def _packed() -> str:
    """The library in a third of its size; browsers unpack it."""
    return base64.b64encode(gzip.compress(_library().encode(), mtime=0)).decode()


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tvm_vsq.pages"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = _prose
    environment.filters["kind"] = lambda part: type(part).__name__
    environment.globals["file"] = _file
    return environment


def _prose(text: str) -> Markup:
    """Text with what stands between backticks as code."""
    return Markup(re.sub(r"`([^`\n]+)`", r"<code>\1</code>", str(escape(text))))


def _file(name: str) -> Markup:
    """A style or script of the package, as it is."""
    return Markup(files("tvm_vsq.pages").joinpath("templates", name).read_text(encoding="utf-8"))
