"""Programs that tests of the RTL need; without one they are skipped, and say what to install."""

from __future__ import annotations

import shutil

import pytest

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
