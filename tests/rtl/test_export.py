"""What is taken to other tools: files that belong together, and modules with an accelerator's widths."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from tests.accelerators import accelerator
from tests.rtl.configurations import random_accelerator
from tests.seeds import first_of

from tvm_vsq.errors import ConfigError, InputError
from tvm_vsq.hardware import list_targets, load_hardware
from tvm_vsq.rtl import blocks, check, sources, write_rtl

ACCELERATORS = [*map(load_hardware, list_targets()), *map(random_accelerator, range(8))]


@pytest.mark.parametrize("hardware", first_of(ACCELERATORS, 2), ids=lambda hardware: hardware.name)
def test_each_top_level_elaborates_from_the_list_of_files(hardware, icarus, tmp_path: Path) -> None:
    write_rtl(hardware, tmp_path / "rtl")
    name = re.sub(r"\W", "_", hardware.name)
    for block in blocks(hardware):
        command = ["iverilog", "-g2012", "-Wall", "-t", "null", "-s", f"{name}_{block}", "-f", "files.f"]
        done = subprocess.run(command, cwd=tmp_path / "rtl", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert f"{name}_{block}.sv" not in done.stderr  # ports fit: no warning is about the top level


@pytest.mark.parametrize("hardware", first_of(ACCELERATORS, 0), ids=lambda hardware: hardware.name)
def test_verilator_has_no_warning_of_it(hardware, verilator, tmp_path: Path) -> None:
    write_rtl(hardware, tmp_path / "rtl")
    name = re.sub(r"\W", "_", hardware.name)
    for block in blocks(hardware):
        command = ["verilator", "--lint-only", "--top-module", f"{name}_{block}", "-f", "files.f"]
        done = subprocess.run(command, cwd=tmp_path / "rtl", capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), block


def test_a_folder_may_be_relative(icarus, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    hardware = load_hardware("vsq-accel")
    write_rtl(hardware, "rtl")
    assert check(hardware, blocks(hardware)["scale_unit"], 10, simulator="icarus", folder="rtl").wrong == 0


def test_the_list_has_every_file_with_what_is_used_first(tmp_path: Path) -> None:
    paths = write_rtl(load_hardware("vsq-accel"), tmp_path)
    assert sorted(path.name for path in paths) == sorted(path.name for path in tmp_path.iterdir())
    listed = (tmp_path / "files.f").read_text().split()
    assert [*listed, "files.f"] == [path.name for path in paths]
    assert listed[0] == "vsq_isa.sv"
    for path in sources():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_a_top_level_says_what_its_ports_are(tmp_path: Path) -> None:
    write_rtl(load_hardware("vsq-accel-w4a8"), tmp_path)
    text = (tmp_path / "vsq_accel_w4a8_vector_mac.sv").read_text()
    assert "module vsq_accel_w4a8_vector_mac (" in text
    assert "input [63:0] weights,  // 16 x 4 bits\n" in text
    assert "input [0:0] fresh,  // 1 bit, clock 7\n" in text
    assert "output [31:0] acc  // 32 bits, clock 8\n" in text
    assert ".NA(8)," in text


def test_a_block_that_an_accelerator_has_not_is_not_written(tmp_path: Path) -> None:
    write_rtl(load_hardware("vsq-accel-int8"), tmp_path)
    assert not (tmp_path / "vsq_accel_int8_scale_unit.sv").exists()


@pytest.mark.parametrize(("name", "module"), [("8bit.v2", "t8bit_v2_ppu"), ("a-b", "a_b_ppu")])
def test_a_target_of_any_name_gives_modules_that_verilog_can_name(name, module, tmp_path: Path) -> None:
    write_rtl(accelerator({"name": name}), tmp_path)
    assert f"module {module} (" in (tmp_path / f"{module}.sv").read_text()


def test_a_target_that_would_hide_a_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="split_multiplier is a module already; give the target another"):
        write_rtl(accelerator({"name": "split"}), tmp_path / "rtl")
    assert not (tmp_path / "rtl").exists()


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    with pytest.raises(InputError, match="is not empty; give a new folder"):
        write_rtl(accelerator(), tmp_path)
