"""Every mutation still applies, and the tests that it must fail still exist (`make mutate` runs them)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def test_every_mutation_applies_and_its_tests_exist() -> None:
    command = [sys.executable, str(Path(__file__).with_name("run.py")), "--check"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr


def test_cases_that_mutations_name_exist(request: pytest.FixtureRequest) -> None:
    """Of tests that are collected together with this one: all of them in `make test`."""
    cases = {item.nodeid for item in request.session.items}
    tests = {case.split("[")[0] for case in cases}
    named = {
        line.removeprefix("Fails: ")
        for patch in Path(__file__).parent.rglob("*.patch")
        for line in patch.read_text().splitlines()
        if line.startswith("Fails: ") and "[" in line
    }
    assert named
    assert {case for case in named if case.split("[")[0] in tests} <= cases
