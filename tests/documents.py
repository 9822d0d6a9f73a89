"""The code in the documents, and copies of the project in which it may write and run."""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tvm_vsq.runtime import native

ROOT = Path(__file__).resolve().parents[1]

_HEADING = re.compile(r"^## (.+)\n", re.M)
_BLOCK = re.compile(r"^(?:`(?P<file>[^`\n]+)`:\n\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S)
_COPIED = ("python", "tvm_vsq", "rtl", "target_configs", "tests", "CMakeLists.txt", "pyproject.toml")
_OUTPUT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A fenced block; `file` is the path in the paragraph before it, "" if there is none."""

    file: str
    language: str
    text: str


def sections(document: str) -> dict[str, list[Block]]:
    """The blocks of docs/`document`, by the heading ("" before the first) that they stand under."""
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    parts = ["", *_HEADING.split(text)]
    return {
        heading: [
            Block(found["file"] or "", found["language"], found["text"]) for found in _BLOCK.finditer(part)
        ]
        for heading, part in zip(parts[::2], parts[1::2], strict=True)
    }


class Copy:
    """A copy of the project's sources in `root`, with the native library of the installed package."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._exports: list[str] = []
        for name in _COPIED:
            source, ignored = ROOT / name, shutil.ignore_patterns("__pycache__")
            if source.is_dir():
                shutil.copytree(source, root / name, ignore=ignored)
            else:
                shutil.copy(source, root)

    def follow(self, block: Block) -> None:
        """Write the block's file, apply its diff, or run its commands, which must print what it shows."""
        if block.file:
            path = self.root / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "diff":
            # Within a repository, git would look for the files at its root.
            environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(self.root.parent)}
            subprocess.run(
                ["git", "apply"], input=block.text, text=True, cwd=self.root, env=environment, check=True
            )
        elif block.language == "console":
            for command, shown in _commands(block.text):
                printed = self._run(command)
                assert doctest.OutputChecker().check_output(shown, printed, _OUTPUT), (
                    f"$ {command}\n{printed}"
                )

    def _run(self, command: str) -> str:
        """What the command prints; exports are for the commands behind them, too."""
        if command.startswith("export "):
            self._exports.append(command)
        environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(self.root / "python"),
            native.LIBRARY_VARIABLE: str(native.library_path()),
        }
        script = "\n".join([*self._exports, command])
        result = subprocess.run(
            ["bash", "-c", script],
            cwd=self.root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert result.returncode == 0, f"$ {command}\n{result.stdout.decode()}"
        return result.stdout.decode()


def _commands(text: str) -> Iterator[tuple[str, str]]:
    """(command, what it prints) of a console block."""
    _, *parts = re.split(r"^\$ (.*)\n", text, flags=re.M)
    yield from zip(parts[::2], parts[1::2], strict=True)
