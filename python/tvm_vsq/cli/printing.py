"""How commands print what they found."""

from __future__ import annotations

import json
from typing import Any


def print_result(data: Any, text: str, as_json: bool) -> None:
    """One line of what a command found: `data` for programs, or `text` for people."""
    print(json.dumps(data, indent=2) if as_json else text)
