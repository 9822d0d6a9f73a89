"""Docstrings of the house as Markdown: a line `name: what it is` and what goes on below it is an item."""

from __future__ import annotations

import inspect
import re

import griffe

_ITEM = re.compile(r"^(?P<names>[a-z_]\w*(?:(?:, | and )[a-z_]\w*)*): (?P<text>.*)$")


class Arguments(griffe.Extension):
    """Applies to all docstrings that are shown."""

    def on_instance(self, *, obj: griffe.Object, **_others: object) -> None:
        """Called by griffe for every object that it reads."""
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value)


def markdown(docstring: str) -> str:
    """The docstring with a list of what it says of arguments and fields, in its place.

    An item ends where a line that is not indented begins a sentence.
    """
    lines: list[str] = []
    in_list = False
    for line in inspect.cleandoc(docstring).split("\n"):
        if found := _ITEM.match(line):
            lines += [] if in_list else [""]
            lines.append(f"- **{found['names']}**: {found['text']}")
            in_list = True
        elif in_list and line and not (line[0].isupper() and lines[-1].endswith(".")):
            lines.append(f"    {line.strip()}")
        else:
            lines += ["", line] if in_list else [line]
            in_list = False
    return "\n".join(lines)
