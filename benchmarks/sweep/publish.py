"""What docs/ has of a sweep: its result, from which the site makes a page, and a picture of the front."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from tvm_vsq.explore import SweepResult

DOCS = Path(__file__).resolve().parents[2] / "docs"


def publish(result: SweepResult, name: str) -> None:
    """Write docs/data/<name>-sweep.json.gz and docs/figures/<name>-front.svg."""
    text = json.dumps(json.loads(result.to_json()), separators=(",", ":"))
    (DOCS / "data").mkdir(exist_ok=True)
    (DOCS / f"data/{name}-sweep.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    result.plot(DOCS / f"figures/{name}-front.svg")
