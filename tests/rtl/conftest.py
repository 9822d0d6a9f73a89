"""Programs that tests of the RTL need; without one they are skipped, and say what to install."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.documents import ROOT

from tvm_vsq.rtl.tools import PACKAGES


def _need(*programs: str) -> None:
    missing = sorted({PACKAGES[name] for name in programs if shutil.which(name) is None})
    if missing:
        pytest.skip(f"needs Debian's {' and '.join(missing)}: apt-get install {' '.join(missing)}")


@pytest.fixture(scope="session")
def icarus() -> None:
    _need("iverilog", "vvp")


@pytest.fixture(scope="session")
def verilator() -> None:
    _need("verilator")


@pytest.fixture(scope="session")
def cocotb(icarus: None) -> None:
    pytest.importorskip("cocotb", reason="needs cocotb: pip install 'tvm-vsq[rtl]'")


@pytest.fixture
def on_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Puts folders on sys.path, and forgets afterwards what was imported from them."""
    before, folders = set(sys.modules), []

    def put(*names: str) -> None:
        for name in names:
            folders.append(ROOT / name)
            monkeypatch.syspath_prepend(str(ROOT / name))

    yield put
    for name in set(sys.modules) - before:
        path = Path(getattr(sys.modules[name], "__file__", None) or "/")
        if path.parent in folders:
            del sys.modules[name]
