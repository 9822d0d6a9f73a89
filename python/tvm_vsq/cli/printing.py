"""How commands print what they found."""

from __future__ import annotations

import json
from typing import Any


def print_json(data: Any) -> None:
    """`data` for programs."""
    print(json.dumps(data, indent=2))


def print_result(data: Any, text: str, as_json: bool) -> None:
    """What a command found: `data` for programs, or `text` for people."""
    if as_json:
        print_json(data)
    else:
        print(text)
