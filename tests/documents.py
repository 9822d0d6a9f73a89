"""The code in the documents: what a page says, and a folder in which it runs."""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGES = (Path("README.md"), *sorted(path.relative_to(ROOT) for path in (ROOT / "docs").rglob("*.md")))
LANGUAGES = ("python", "console", "text", "diff")
"""Of blocks that are no files. Without a language a block is text that no block before it prints."""

_MARK = re.compile(r"^<!-- setup: (?P<setup>\w+)(?P<large>, large)? -->$", re.M)
_BLOCK = re.compile(
    r"^(?:`(?P<file>[^`\n]+)`:\n\n)?```(?P<language>\S*)[^\n]*\n(?P<text>.*?)^```$", re.M | re.S
)
_OUTPUT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
_COLUMNS = "92"  # of the tables that pages show
_INSTEAD = {"make": "make --dry-run"}
"""What runs in place of a command: a test that builds the environment of tests would run itself."""


@dataclass(frozen=True)
class Block:
    """A fenced block; `file` is the path in the paragraph before it, "" if there is none."""

    file: str
    language: str
    text: str


@dataclass(frozen=True)
class Part:
    """Blocks that follow each other in one folder: from a mark `<!-- setup: NAME -->` to the next one.

    setup: what is there before (`document_setups`); "empty" where a page has no mark. is_large: "large" is in
    the mark, too.
    """

    page: Path
    number: int
    setup: str
    is_large: bool
    blocks: tuple[Block, ...]


def parts(page: Path) -> list[Part]:
    """Those of a page (a path from the root) that have blocks, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    marks = [None, *_MARK.finditer(text)]
    found = []
    for number, mark in enumerate(marks):
        begin = mark.end() if mark else 0
        end = marks[number + 1].start() if number + 1 < len(marks) else len(text)
        blocks = tuple(
            Block(block["file"] or "", block["language"], block["text"])
            for block in _BLOCK.finditer(text, begin, end)
        )
        setup, is_large = (mark["setup"], bool(mark["large"])) if mark else ("empty", False)
        if blocks:
            found.append(Part(page, len(found), setup, is_large, blocks))
    return found


class Session:
    """Follows the blocks of a part, in a folder, with an environment for commands and names for Python.

    A context; what commands started and left running ends with it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "COLUMNS": _COLUMNS,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        }
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self._printed = ""
        self._groups: list[int] = []

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        for group in self._groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGTERM)

    def follow(self, block: Block) -> None:
        """Write the block's file, apply its diff, run its Python or its commands, or compare what it shows
        with what the Python before it printed.
        """
        if block.file:
            path = self.folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            self._printed = self._python(block.text)
        elif block.language == "text":
            _compare(block.text, self._printed, "what the page shows")
        elif block.language == "console":
            for command, shown in commands(block.text):
                _compare(shown, self._run(command), f"$ {command}")
        elif block.language == "diff":
            # Within a repository, git would look for the files at its root.
            environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(self.folder.parent)}
            subprocess.run(
                ["git", "apply"], input=block.text, text=True, cwd=self.folder, env=environment, check=True
            )

    def _python(self, code: str) -> str:
        """What it prints; warnings and progress go to stderr."""
        printed = io.StringIO()
        with _set(COLUMNS=_COLUMNS), contextlib.chdir(self.folder), contextlib.redirect_stdout(printed):
            exec(compile(code, "<page>", "exec"), self.names)
        return printed.getvalue()

    def _run(self, command: str) -> str:
        """What the command prints; what it exports is there for the commands behind it."""
        program, *arguments = command.split(" ", 1)
        command = " ".join([_INSTEAD.get(program, program), *arguments])
        kept = self.folder.parent / f"{self.folder.name}.exports"
        script = f'[ ! -e "{kept}" ] || . "{kept}"\n{command}\nstatus=$?\nexport -p > "{kept}"\nexit $status'
        with subprocess.Popen(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as shell:
            self._groups.append(shell.pid)
            printed = shell.communicate()[0].decode()
        assert shell.returncode == 0, f"$ {command}\n{printed}"
        return printed


def commands(text: str) -> Iterator[tuple[str, str]]:
    """(command, what it prints) of a console block."""
    before, *found = re.split(r"^\$ ((?:.*\\\n)*.*)\n", text, flags=re.M)
    assert not before, f"no command prints {before!r}"
    yield from zip(found[::2], found[1::2], strict=True)


def _compare(shown: str, printed: str, what: str) -> None:
    """A block that shows nothing says nothing of what is printed."""
    assert not shown or doctest.OutputChecker().check_output(shown, printed, _OUTPUT), f"{what}\n{printed}"


@contextlib.contextmanager
def _set(**variables: str) -> Iterator[None]:
    """Environment variables inside the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
