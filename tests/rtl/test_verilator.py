"""The RTL computes what NumPy does on 100,000 random transactions a block, in Verilator."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import pytest
from tests.documents import ROOT
from tests.seeds import first_of

from tvm_vsq.hardware import list_targets
from tvm_vsq.rtl import check

pytestmark = pytest.mark.usefixtures("verilator")


def script(name: str) -> Any:
    """A script of benchmarks/rtl as a module."""
    spec = importlib.util.spec_from_file_location(
        f"benchmarks_rtl_{name}", ROOT / f"benchmarks/rtl/{name}.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


VERIFY = script("verify")
CASES = sorted(VERIFY.cases(VERIFY.accelerators()), key=lambda case: case.block.name != "vector_mac")
SHIPPED = [case for case in CASES if set(case.names) & set(list_targets())]  # `make rtl` takes them all
WITH_DIGITS = [case for case in CASES if "vsq-accel+2" in case.names and case not in SHIPPED]


@pytest.mark.parametrize("case", first_of(SHIPPED, 0), ids=lambda case: f"{case.block.name}-{case.names[0]}")
def test_a_block_computes_what_numpy_does_on_100000_transactions(case: Any) -> None:
    found = check(case.hardware, case.block, 100_000)
    assert not found.wrong, found.summary(", ".join(case.names))


@pytest.mark.parametrize("case", first_of(WITH_DIGITS, 0), ids=lambda case: case.block.name)
def test_a_block_with_digits_computes_what_numpy_does_on_100000_transactions(case: Any) -> None:
    found = check(case.hardware, case.block, 100_000)
    assert not found.wrong, found.summary(", ".join(case.names))


def test_the_targets_that_ship_and_the_formats_of_the_paper_are_among_them() -> None:
    names = {name for case in CASES for name in case.names}
    assert {*list_targets(), "4/8/6/10 V=64", "8/8/-/- V=16"} <= names
    digits = {*(f"{name}+2" for name in list_targets()), "4/8/6/10+2 V=16", "2/2/4/4+4 V=32"}
    assert digits <= names
    assert len(names) == len(list_targets()) + 6 * 3 + len(digits)
    blocks_of = {name: [case.block.name for case in CASES if name in case.names] for name in names}
    assert all({"vector_mac", "ppu", "unpack_wgt"} <= set(found) for found in blocks_of.values())
