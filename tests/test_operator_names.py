"""An operator's name stands in its folder, in the registry, and nowhere else; the same holds in C++."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tvm_vsq.network.source import Source
from tvm_vsq.registry import OPERATORS, aspects

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "python" / "tvm_vsq"
AT_HOME = (PACKAGE / "ops", PACKAGE / "registry.py")
IMPORTERS = PACKAGE / "frontend"
"""Read what others wrote, so they know the operators of TVM, ONNX and torch by their names."""

ORDINARY_WORDS = {"add"}
"""Operators whose names are looked for behind "vsq." alone: they name many other things."""


def forbidden(operator: str) -> re.Pattern[str]:
    """What must not stand in a string, or as part of an identifier."""
    names = [rf"vsq\.{operator}\b"]
    if operator not in ORDINARY_WORDS:
        relax = aspects("source", Source)[operator].relax.removeprefix("relax.")
        names += [
            rf"(?<![a-z]){operator}(?![a-z])",
            rf"relax\.{re.escape(relax)}\b",
            rf"^{re.escape(relax)}$",
        ]
    return re.compile("|".join(names))


def tokens(text: str) -> Iterator[tuple[int, str]]:
    """Identifiers and strings of Python code, with their lines; not what torch's functions are called."""
    before: list[str] = ["", ""]
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        is_statement = token.type == tokenize.STRING and token.line.strip().startswith(('"""', 'r"""'))
        if token.type == tokenize.NAME and before != ["F", "."]:
            yield token.start[0], token.string
        elif token.type == tokenize.STRING and not is_statement:
            yield token.start[0], token.string.strip("rbf\"'")
        elif token.type == getattr(tokenize, "FSTRING_MIDDLE", -1):
            yield token.start[0], token.string
        before = [before[1], token.string]


def places(operator: str) -> list[str]:
    pattern, found = forbidden(operator), []
    for path in sorted(PACKAGE.rglob("*.py")):
        if IMPORTERS in path.parents or any(home in (path, *path.parents) for home in AT_HOME):
            continue
        for line, token in tokens(path.read_text(encoding="utf-8")):
            if pattern.search(token):
                found.append(f"{path.relative_to(ROOT)}:{line}: {token}")
    for path in sorted((ROOT / "tvm_vsq").rglob("*.*")):
        for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if operator not in ORDINARY_WORDS and re.search(rf"(?<![a-z]){operator}(?![a-z])", text):
                found.append(f"{path.relative_to(ROOT)}:{line}: {text.strip()}")
    return found


@pytest.mark.parametrize("operator", OPERATORS)
def test_no_operator_is_named_outside_its_folder_and_the_registry(operator: str) -> None:
    assert places(operator) == []
