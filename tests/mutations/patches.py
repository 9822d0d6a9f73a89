"""Patches that break the project: what they say in their headers, and whether they fit the sources."""

from __future__ import annotations

import ast
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).resolve().parent


ROOMS = {"python": "", "tvm_vsq": "", "rtl": "python/tvm_vsq"}
"""What a patch may change, and the folder of a copy of the package in which that stands."""


class MutationError(Exception):
    """A patch, or what it names, is not as README.md says."""


class StaleError(MutationError):
    """A patch that no longer applies to the sources."""


@dataclass(frozen=True)
class Mutation:
    """A patch and its header."""

    path: Path
    behaviour: str
    tests: tuple[str, ...]  # what must fail: node ids of pytest, and names of ctest
    room: str  # of ROOMS

    @property
    def is_native(self) -> bool:
        """Whether it changes C++."""
        return self.room == "tvm_vsq"

    @property
    def name(self) -> str:
        return self.path.relative_to(FOLDER).with_suffix("").as_posix()


def parse(path: Path) -> Mutation:
    """Read a patch's header: lines `Breaks: <behaviour>` and `Fails: <test>`, before the diff."""
    text = path.read_text(encoding="utf-8")
    header, diff, _ = text.partition("\n--- a/")
    behaviour = re.findall(r"^Breaks: (.+)$", header, re.MULTILINE)
    tests = re.findall(r"^Fails: (.+)$", header, re.MULTILINE)
    if not diff or len(behaviour) != 1 or not tests or len(header.splitlines()) != 1 + len(tests):
        raise MutationError(
            f"{path}: wants a line 'Breaks: ...', lines 'Fails: <test>', and a diff from a/... to b/..."
        )
    rooms = {file.partition("/")[0] for file in re.findall(r"^\+\+\+ b/(\S+)", text, re.MULTILINE)}
    if len(rooms) != 1 or not rooms <= set(ROOMS):
        raise MutationError(f"{path}: wants changes of python/, of tvm_vsq/ or of rtl/, of one of them only")
    return Mutation(path, behaviour[0], tuple(tests), rooms.pop())


def all_mutations() -> list[Mutation]:
    """Every patch of this folder and those below it."""
    return [parse(path) for path in sorted(FOLDER.rglob("*.patch"))]


def apply(mutation: Mutation, tree: Path, *, check: bool = False, folder: str = "") -> None:
    """Apply the patch to `tree`, or see if it would. Raises StaleError if it does not.

    folder: what stands before the patch's paths in `tree`.
    """
    # Within a repository, git would look for the files at its root.
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tree.parent)}
    options = [*["--check"] * check, *[f"--directory={folder}"] * bool(folder)]
    command = ["git", "apply", *options, str(mutation.path)]
    result = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    if result.returncode:
        raise StaleError(result.stderr.strip())


def require_tests(mutation: Mutation) -> None:
    """Raise MutationError if a named test is nowhere in the sources."""
    lists = (ROOT / "tests/cpp/CMakeLists.txt", ROOT / "tests/cpp/fuzz/CMakeLists.txt")
    native = {word for file in lists for word in re.findall(r"\w+", file.read_text(encoding="utf-8"))}
    for test in mutation.tests:
        if test.startswith("cpp."):
            found = test.rpartition(".")[2] in native
        else:
            file, *path = test.partition("[")[0].split("::")
            found = (ROOT / file).is_file() and _defines(ROOT / file, path)
        if not found:
            raise MutationError(f"there is no test {test}")


def _defines(file: Path, path: Sequence[str]) -> bool:
    """Whether `file` has the function, or the class and its method, of that name."""
    scope: ast.AST = ast.parse(file.read_text(encoding="utf-8"))
    for name in path:
        named = (n for n in ast.iter_child_nodes(scope) if getattr(n, "name", None) == name)
        if (scope := next(named, None)) is None:
            return False
    return True


def check(mutations: Sequence[Mutation]) -> list[str]:
    """What is wrong with patches, found without running anything."""
    problems = []
    for mutation in mutations:
        try:
            apply(mutation, ROOT, check=True)
            require_tests(mutation)
        except MutationError as error:
            problems.append(f"{mutation.name}: {error}")
    return problems
