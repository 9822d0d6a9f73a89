"""build/rtl/energies.json: what was measured, by what a block's area depends on and a kind of operands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from areas import identity

from tvm_vsq.rtl import Block

RESULTS = Path(__file__).parents[2] / "build/rtl/energies.json"


class Kept:
    """Records; each is written when it is there."""

    def __init__(self) -> None:
        self._records: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}

    def of(self, block: Block, kind: str) -> dict[str, Any] | None:
        """None if it was not measured."""
        return self._records.get(f"{identity(block)}/{kind}")

    def keep(self, block: Block, kind: str, record: Mapping[str, Any]) -> None:
        """With the block's parameters."""
        described = {"module": block.module, "parameters": dict(block.parameters), **record}
        self._records[f"{identity(block)}/{kind}"] = described
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps(self._records, indent=1))
