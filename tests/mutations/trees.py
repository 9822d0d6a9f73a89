"""Copies of the project that may be broken, and tests that run on them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from patches import ROOT, MutationError

NATIVE = ROOT / "build" / "mutate"  # the copy of the C++ sources in src/, and their build in build/
CXX_SOURCES = ("CMakeLists.txt", "tvm_vsq", "tests/cpp")
TIMEOUT_S = 300  # for a test; where tests hang with a mutation, they have noticed it
_MANY = 16  # tests that are worth more than one process


@contextmanager
def package_copy() -> Iterator[Path]:
    """A temporary tree with the installed package as python/tvm_vsq; its path."""
    spec = find_spec("tvm_vsq")
    if spec is None or spec.origin is None:
        raise MutationError("the package is not installed: make setup")
    with tempfile.TemporaryDirectory(prefix="tvm-vsq-mutation-") as folder:
        tree = Path(folder).resolve()
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(Path(spec.origin).parent, tree / "python" / "tvm_vsq", ignore=ignored)
        yield tree


def refresh_native() -> None:
    """Bring the C++ copy up to the sources. Only files that differ are written, so little is built again."""
    copy = NATIVE / "src"
    wanted = {path.relative_to(ROOT) for name in CXX_SOURCES for path in _files(ROOT / name)}
    for path in {path.relative_to(copy) for path in _files(copy)} - wanted:
        (copy / path).unlink()
    for path in wanted:
        content = (ROOT / path).read_bytes()
        if not (copy / path).is_file() or (copy / path).read_bytes() != content:
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            (copy / path).write_bytes(content)


def _files(root: Path) -> list[Path]:
    return [root] if root.is_file() else [path for path in root.rglob("*") if path.is_file()]


def configure_native() -> None:
    """Make the C++ copy and its build folder."""
    refresh_native()
    command = [_tool("cmake"), "-S", str(NATIVE / "src"), "-B", str(NATIVE / "build"), "-G", "Ninja"]
    options = {
        "CMAKE_MAKE_PROGRAM": _tool("ninja"),
        "Python_EXECUTABLE": sys.executable,
        "TVM_VSQ_BUILD_TESTS": "ON",
    }
    _checked([*command, *(f"-D{key}={value}" for key, value in options.items())])


def build_library() -> Path:
    """Build the native library of the C++ copy; its path."""
    _checked([_tool("cmake"), "--build", str(NATIVE / "build"), "--target", "tvm_vsq_runtime"])
    return NATIVE / "build" / "libtvm_vsq_runtime.so"


def failures(tests: Iterable[str], tree: Path, *, native: bool) -> set[str]:
    """Run tests with the package of `tree`, and with the library of the C++ copy if `native`; what fails.

    A node id fails if any of its cases does. Raises MutationError for what cannot be built or run.
    """
    tests = list(dict.fromkeys(tests))
    compiled = [test for test in tests if test.startswith("cpp.")]
    python = [test for test in tests if not test.startswith("cpp.")]
    failed = _ctest(compiled) if compiled else set()
    if python:
        failed |= _pytest(python, tree / "python", build_library() if native else None)
    return failed


def _pytest(tests: Sequence[str], packages: Path, library: Path | None) -> set[str]:
    with tempfile.TemporaryDirectory() as scratch:
        environment = {**os.environ, "PYTHONPATH": str(packages), "HYPOTHESIS_STORAGE_DIRECTORY": scratch}
        for name in ("OMP_NUM_THREADS", "TVM_NUM_THREADS", "PYTHONDONTWRITEBYTECODE"):
            environment[name] = "1"
        if library is not None:
            environment["TVM_VSQ_LIBRARY"] = str(library)
        _require_origin(packages, environment)
        options = [
            "-q",
            "--tb=no",
            "-rfE",
            "--color=no",
            "-p",
            "no:cacheprovider",
            "--hypothesis-seed=0",
            "-m",
            "",
        ]
        if len(tests) > _MANY:
            options += ["--numprocesses=logical", "--maxprocesses=8", "--dist=worksteal"]
        try:
            command = [sys.executable, "-m", "pytest", *options, *tests]
            result = _run(command, environment, timeout_s=TIMEOUT_S + 60 * (len(tests) - 1))
        except subprocess.TimeoutExpired:
            return set(tests)
    if result.returncode not in (0, 1):
        raise MutationError(f"pytest could not run {' '.join(tests)}: {_tail(result)}")
    failed = re.findall(r"^(?:FAILED|ERROR) (.+)", result.stdout, re.MULTILINE)
    return {test for test in tests if any(re.match(rf"{re.escape(test)}(?!\w)", line) for line in failed)}


def _require_origin(packages: Path, environment: Mapping[str, str]) -> None:
    code = "import importlib.util as u; print(u.find_spec('tvm_vsq').origin)"
    origin = _run([sys.executable, "-c", code], environment).stdout.strip()
    if not Path(origin).is_relative_to(packages):
        raise MutationError(f"tests would import {origin}, not the copy in {packages}")


def _ctest(tests: Sequence[str]) -> set[str]:
    build = str(NATIVE / "build")
    # The executable of cpp.gemm is test_gemm, that of cpp.fuzz.tensor is fuzz_tensor.
    names = [test.removeprefix("cpp.") for test in tests]
    targets = [n.replace(".", "_") if n.startswith("fuzz.") else f"test_{n}" for n in names]
    _checked([_tool("cmake"), "--build", build, "--target", *targets])
    command = [_tool("ctest"), "--test-dir", build, "--no-tests=error", "--timeout", str(TIMEOUT_S // 2)]
    return {test for test in tests if _run([*command, "-R", f"^{re.escape(test)}$"]).returncode}


def _run(
    command: Sequence[str], environment: Mapping[str, str] | None = None, timeout_s: float = TIMEOUT_S
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout_s
    )


def _checked(command: Sequence[str]) -> None:
    result = _run(command, timeout_s=6 * TIMEOUT_S)
    if result.returncode:
        raise MutationError(f"{' '.join(command)} failed: {_tail(result)}")


def _tail(result: subprocess.CompletedProcess[str]) -> str:
    return (result.stdout + result.stderr)[-4000:]


def _tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)
