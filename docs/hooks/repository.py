"""Links from pages to files of the repository outside docs/: the site has a copy of each, in repository/."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files, InclusionLevel

_LINK = re.compile(r"(?<=\]\()(?P<link>(?:\.\./)+[^)#\s]+)")
_ROOT = Path(__file__).resolve().parents[2]


def on_files(files: Files, config: Any) -> Files:
    """Add the files that pages link to."""
    found = set()
    for page in files.documentation_pages():
        if page.abs_src_path:
            found |= {_outside(page.src_uri, link["link"]) for link in _LINK.finditer(page.content_string)}
    for name in sorted(found - {""}):
        path, level = str(_ROOT / name), InclusionLevel.NOT_IN_NAV
        files.append(File.generated(config, f"repository/{name}", abs_src_path=path, inclusion=level))
    return files


def on_page_markdown(markdown: str, page: Any, **_others: Any) -> str:
    """Lead to the copies."""
    return _LINK.sub(lambda found: _moved(page.file.src_uri, found["link"]), markdown)


def _outside(page: str, link: str) -> str:
    """The path from the root of the repository, "" if it leads to docs/ or nowhere."""
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link))
    return "" if path.startswith(("docs/", "..")) or not (_ROOT / path).is_file() else path


def _moved(page: str, link: str) -> str:
    path = _outside(page, link)
    return posixpath.relpath(f"repository/{path}", posixpath.dirname(page) or ".") if path else link
