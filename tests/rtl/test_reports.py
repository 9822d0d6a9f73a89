"""What a check says: of an RTL that computes something else, and of programs that are missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.accelerators import accelerator
from tests.seeds import one_of

from tvm_vsq.errors import ToolError
from tvm_vsq.rtl import blocks, check, check_inputs, sources
from tvm_vsq.rtl.tools import PACKAGES, run_tool

HARDWARE = accelerator()


def broken(folder: Path, name: str, old: str, new: str) -> Path:
    """A copy of the sources with a change in one."""
    for path in sources():
        shutil.copy(path, folder)
    text = (folder / name).read_text()
    assert text.count(old) == 1
    (folder / name).write_text(text.replace(old, new))
    return folder


@pytest.mark.parametrize("simulator", one_of(["icarus", "verilator"]))
@pytest.mark.large
def test_a_mismatch_names_configuration_clock_and_signal(
    simulator: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(simulator)
    folder = broken(tmp_path, "accumulator.sv", "base + (", "base - (")
    block = blocks(HARDWARE)["accumulator"]
    zero, one = np.zeros((3, 1), np.int64), np.array([[0], [5], [0]])
    inputs = dict.fromkeys(("reset", "fresh", "forward", "acc_in", "shift"), zero) | {"addend": one}
    found = check_inputs(HARDWARE, block, inputs, simulator, folder)
    assert (found.block, found.clocks, found.wrong) == ("accumulator", 4, 1)
    (clock, signal, bit, got, wanted), *rest = found.mismatches
    assert (clock, signal, bit, int(got, 16), int(wanted, 16), rest) == (1, "acc", 0, 2**32 - 5, 5, [])
    assert found.summary("test").splitlines() == [
        "test: accumulator: 1 of 4 clocks differ",
        "  clock 1, acc from bit 0: fffffffb, expected 00000005",
    ]


@pytest.mark.parametrize("simulator", one_of(["icarus", "verilator"]))
def test_many_mismatches_are_counted_and_some_are_kept(
    simulator: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(simulator)
    folder = broken(tmp_path, "multiplier.sv", "assign product = ", "assign product = ~")
    found = check(HARDWARE, blocks(HARDWARE)["multiplier"], 100, simulator=simulator, folder=folder)
    assert found.wrong == found.clocks == 7 * 6 * 2 + 100  # corners, and random ones
    assert len(found.mismatches) == 20


def test_unknowns_in_an_output_are_mismatches(icarus: None, tmp_path: Path) -> None:
    folder = broken(tmp_path, "multiplier.sv", "assign product = ", "assign product = {WIDTH{1'bx}} ^ ")
    found = check(HARDWARE, blocks(HARDWARE)["multiplier"], 10, simulator="icarus", folder=folder)
    assert found.wrong == found.clocks == 7 * 6 * 2 + 10


@pytest.mark.parametrize("simulator", one_of(["icarus", "verilator"]))
def test_sources_that_a_simulator_refuses_are_named(
    simulator: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(simulator)
    folder = broken(tmp_path, "multiplier.sv", "endmodule", "end module")
    with pytest.raises(ToolError, match=r"ended with code \d+: (?s:.*)multiplier.sv"):
        check(HARDWARE, blocks(HARDWARE)["multiplier"], 1, simulator=simulator, folder=folder)


@pytest.mark.parametrize(("simulator", "package"), [("icarus", "iverilog"), ("verilator", "verilator")])
def test_a_missing_simulator_is_named_with_its_package(
    simulator: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=f"not installed; on Debian: apt-get install {package}$"):
        check(HARDWARE, blocks(HARDWARE)["multiplier"], 1, simulator=simulator)


@pytest.mark.parametrize(("program", "package"), [*PACKAGES.items(), ("unheard-of", "unheard-of")])
def test_a_missing_program_is_named_with_its_package(
    program: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError) as caught:
        run_tool([program], tmp_path)
    assert str(caught.value) == f"{program} is not installed; on Debian: apt-get install {package}"


def test_a_program_that_does_not_end_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tvm_vsq.rtl.tools._SECONDS", 0.05)
    with pytest.raises(ToolError, match=r"sleep did not end within 0.05 s"):
        run_tool(["sleep", "5"], tmp_path)
