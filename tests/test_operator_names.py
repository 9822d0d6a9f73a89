"""An operator's name stands in its folder, in the registry, and nowhere else; the same holds in C++."""

from __future__ import annotations

import functools
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

ORDINARY_WORDS = {"add", "multiply"}
"""Operators whose names are looked for behind "vsq." alone: they name many other things."""


def in_identifiers(operator: str) -> re.Pattern[str]:
    """Also as a part of a longer name."""
    return re.compile("(?!)" if operator in ORDINARY_WORDS else f"(?<![a-z]){operator}(?![a-z])")


def in_strings(operator: str) -> re.Pattern[str]:
    """The names of calls in Relax, ours and in fp32, and the operator's alone; prose may use its word.

    Others may name an fp32 operator of which only some calls are ours.
    """
    names, source = [rf"vsq\.{operator}\b"], aspects("source", Source)[operator]
    if operator not in ORDINARY_WORDS:
        names.append(f"^{operator}$")
        if source.matches is Source.matches:
            relax = re.escape(source.relax.removeprefix("relax."))
            names += [rf"relax\.{relax}\b", f"^{relax}$"]
    return re.compile("|".join(names))


@functools.cache
def tokens_of(path: Path) -> list[tuple[int, bool, str]]:
    """Of a file that is searched for every operator."""
    return list(python_tokens(path.read_text(encoding="utf-8")))


def python_tokens(text: str) -> Iterator[tuple[int, bool, str]]:
    """(line, is a string, text) of identifiers and strings; neither docstrings nor names of torch."""
    before = ["", ""]
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        is_docstring = token.line.strip().startswith('"""')
        if token.type == tokenize.NAME and before not in (["F", "."], ["backend", "."]):
            yield token.start[0], False, token.string
        elif token.type == tokenize.STRING and not is_docstring:
            yield token.start[0], True, token.string.strip("rbf\"'")
        elif token.type == getattr(tokenize, "FSTRING_MIDDLE", -1):
            yield token.start[0], True, token.string
        before = [before[1], token.string]


def places(operator: str) -> list[str]:
    """Where the operator is named."""
    identifiers, strings, found = in_identifiers(operator), in_strings(operator), []
    for path in sorted(PACKAGE.rglob("*.py")):
        if IMPORTERS in path.parents or any(home in (path, *path.parents) for home in AT_HOME):
            continue
        for line, is_string, token in tokens_of(path):
            if (strings if is_string else identifiers).search(token):
                found.append(f"{path.relative_to(ROOT)}:{line}: {token}")
    for path in sorted((ROOT / "tvm_vsq").rglob("*.*")):
        for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if identifiers.search(text.split("//")[0]):
                found.append(f"{path.relative_to(ROOT)}:{line}: {text.strip()}")
    return found


def test_the_search_finds_names_in_code_and_leaves_prose() -> None:
    code = 'def conv2d_nest():\n    return "vsq.conv2d", "a conv2d or two", F.conv2d\n'
    found = [
        token
        for _, is_string, token in python_tokens(code)
        if (in_strings if is_string else in_identifiers)("conv2d").search(token)
    ]
    assert found == ["conv2d_nest", "vsq.conv2d"]


@pytest.mark.parametrize("operator", OPERATORS)
def test_no_operator_is_named_outside_its_folder_and_the_registry(operator: str) -> None:
    assert places(operator) == []
