"""Subscripts in text, as acc[a][b], are no references to headings: links of pages are all written out."""

from __future__ import annotations

import re
from typing import Any

_CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.M | re.S)


def on_page_markdown(markdown: str, **_others: Any) -> str:
    """Escape them outside of code."""
    parts = _CODE.split(markdown)
    parts[::2] = [text.replace("][", r"]\[") for text in parts[::2]]
    return "".join(parts)
