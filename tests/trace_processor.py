"""Perfetto's own trace processor, which reads timelines as ui.perfetto.dev does, and answers SQL."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.documents import ROOT

_ENGINE = ROOT / "build" / "trace-processor"


def query(trace: Path, *statements: str) -> list[list[dict[str, Any]]]:
    """The rows that each statement gives; the test is skipped where there is no trace processor."""
    if shutil.which("node") is None or not (_ENGINE / "SHA256SUMS").is_file():
        pytest.skip("needs Node and Perfetto's trace processor: make browser")
    script = Path(__file__).with_name("trace_processor.mjs")
    command = ["node", str(script), str(_ENGINE), str(trace), *statements]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode == 0, found.stderr
    rows: list[list[dict[str, Any]]] = json.loads(found.stdout)
    return rows
