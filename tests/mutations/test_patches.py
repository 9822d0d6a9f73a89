"""Every mutation still applies, and the tests that it must fail still exist (`make mutate` runs them)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_every_mutation_applies_and_its_tests_exist() -> None:
    command = [sys.executable, str(Path(__file__).with_name("run.py")), "--check"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
