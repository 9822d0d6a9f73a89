"""make bench-models: what it measures again, its tables, and the switches of what was changed."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import tvm_vsq

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports a script of benchmarks/models."""
    pytest.importorskip("onnxruntime")
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks/models"))
    yield importlib.import_module
    for name in set(sys.modules) - before:
        path = Path(getattr(sys.modules[name], "__file__", None) or "/")
        if any(path.is_relative_to(ROOT / folder) for folder in ("benchmarks", "examples")):
            del sys.modules[name]


CASE = {
    "compile_s": 12.34,
    "peak_mib": 1234.5,
    "notation": "4/4/4/4",
    "macs": 25_600,
    "instructions": 1_024,
    "default_cycles": 200,
    "default_utilization": 0.5,
    "cycles": 160,
    "utilization": 0.625,
    "tuned_layers": 1,
    "dram_bytes": 3_000_000,
    "minimum_dram_bytes": 2_000_000,
    "on_chip_minimum_dram_bytes": 1_000_000,
    "arena_bytes": 500_000,
    "energy_uj": 12.3,
    "artifact_bytes": 2_500_000,
    "notes": ["padding: none"],
    "layers": [
        {
            "name": "conv1",
            "shape": "8x8x3(16)",
            "macs": 25_600,
            "cycles": 160,
            "utilization": 0.625,
            "dram_bytes": 3_000_000,
            "minimum_dram_bytes": 2_400_000,
            "tuned": True,
        }
    ],
    "simulate_ms": 3.0,
    "fp32_ms": 2.0,
}


def test_tables_say_what_was_measured_and_leave_out_what_was_not(scripts, tmp_path):
    report, path = scripts("report"), tmp_path / "models.md"
    found = {
        "resnet50/vsq-accel": CASE,
        "resnet50/vsq-accel-int8": {**CASE, "tuned_layers": 0, "notes": ["padding: some"]},
        "resnet50/vsq-accel/unfitted": {"compile_s": 5.67, "peak_mib": 999.0},
        "resnet50/vsq-accel/brought": [
            {"change": "nothing", "cycles": 200, "utilization": 0.5},
            {"change": "one", "cycles": 150, "utilization": 0.6},
        ],
        "padding/vsq-accel": {"vsq-accel": [100, 87]},
        "padding/vsq-accel-int8": {"vsq-accel-int8": [100, 88]},
    }
    report.write(found, path)
    lines = path.read_text().splitlines()
    moved = "3.000 | 2.000 | 1.50 | 1.000 | 0.500 | 12.3"
    for line in (
        "On the accelerator: 25,600 multiply-accumulates, at 256 a cycle 100 cycles.",
        f"| vsq-accel | 4/4/4/4 | 1,024 | 200 | 50.0% | 160 | 62.5% | {moved} |",
        f"| vsq-accel-int8 | 4/4/4/4 | 1,024 | 200 | 50.0% | - | - | {moved} |",
        "| vsq-accel | 12.3 | 1,234 | 5.7 | 999 | 2.500 | 3.0 | 2.0 | 1.50 |",
        "| vsq-accel-int8 | 12.3 | 1,234 | - | - | 2.500 | 3.0 | 2.0 | 1.50 |",
        "* `vsq-accel`: padding: none",
        "| conv1 | 8x8x3(16) | 25,600 | 160 | 62.5% | 3.000 | 2.400 | 1.25 |",
        "| one | 150 | -25.0% |",
        "| vsq-accel | 100 | 87 | 0.87 | met |",
        "| vsq-accel-int8 | 100 | 88 | 0.88 | not met |",
    ):
        assert line in lines
    assert lines.count("Not measured.") == 2  # ResNet-8 and BERT


@pytest.fixture
def run(scripts, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script without measurements: `made` has the names of cases in the order in which they ran."""
    module: ModuleType = scripts("run")
    module.made = []

    def measured(case: Any) -> Any:
        if case.name == "padding/vsq-accel-int8" and len(module.made) == 1:
            sys.exit("interrupted")
        module.made.append(case.name)
        return {case.name.partition("/")[2]: [100, 87]}

    monkeypatch.setattr(module, "measured", measured)
    return module


def start(run: Any, monkeypatch: pytest.MonkeyPatch, *arguments: Any) -> None:
    monkeypatch.setattr(sys, "argv", ["run.py", *map(str, arguments)])
    run.main()


def test_a_run_that_was_interrupted_goes_on_where_it_was(run, tmp_path, monkeypatch):
    arguments = ("--only", "padding", "--kept", tmp_path)
    with pytest.raises(SystemExit, match="interrupted"):
        start(run, monkeypatch, *arguments)
    assert run.made == ["padding/vsq-accel"]
    run.made.append("and again")
    start(run, monkeypatch, *arguments)
    assert run.made[2:] == ["padding/vsq-accel-int8", "padding/vsq-accel-w4a8"]
    start(run, monkeypatch, *arguments)
    assert len(run.made) == 4
    assert "| vsq-accel-w4a8 | 100 | 87 | 0.87 | met |" in (tmp_path / "models.md").read_text()


def test_results_of_other_sources_are_measured_again(run, tmp_path, monkeypatch):
    arguments = ("--only", "padding/vsq-accel", "--kept", tmp_path, "--output", tmp_path / "x.md")
    start(run, monkeypatch, *arguments)
    (kept,) = tmp_path.glob("*.json")
    kept.write_text(json.dumps({**json.loads(kept.read_text()), "sources": "others"}))
    start(run, monkeypatch, *arguments)
    assert run.made == ["padding/vsq-accel"] * 2  # and not vsq-accel-int8, whose name begins like it
    assert (tmp_path / "x.md").exists()


@pytest.mark.large
def test_a_case_that_fails_ends_the_run_with_what_it_said(scripts):
    run = scripts("run")
    case = run.Case("resnet8/none", "models/case.py", ("resnet8", "none"))
    with pytest.raises(SystemExit, match=r"(?s)resnet8/none failed.*invalid choice: 'none'"):
        run.measured(case)


class Small(torch.nn.Module):
    """A layer with a thin input, and one of which a row is too little for a tile; extents are primes."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(3, 32, 3, padding=1)
        self.second = torch.nn.Conv2d(32, 32, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.relu(self.first(x)))


@pytest.mark.large
def test_each_switch_changes_the_program_and_not_what_it_computes(scripts):
    switches, brought, networks = scripts("switches"), scripts("what_brought"), scripts("networks")
    small = networks._random(Small, (1, 3, 31, 37))
    hardware = tvm_vsq.load_hardware("vsq-accel")

    def compiled(*off: str) -> tuple[str, Any]:
        with switches.without(off):
            module = brought.quantized(small, hardware)
            exe = tvm_vsq.compile(module, hardware, schedules="default")
        return exe.disassemble(), exe(small.x)

    program, results = compiled()
    for change in switches.CHANGES:
        other, found = compiled(change)
        assert other != program, change
        if change not in switches.OF_QUANTIZING:
            assert (found == results).all(), change
    assert compiled()[0] == program, "a switch stays"


@pytest.mark.large
def test_with_all_switched_off_cycles_are_those_of_the_commit_before(scripts):
    pytest.importorskip("mlxtend")
    switches, brought, networks = scripts("switches"), scripts("what_brought"), scripts("networks")
    hardware = tvm_vsq.load_hardware("vsq-accel")
    with switches.without(switches.CHANGES):
        module = brought.quantized(networks.NETWORKS["resnet8"](), hardware)
        profile = tvm_vsq.compile(module, hardware, schedules="default").timing()
    assert profile.cycles == 54_495 + 78  # the average pool, which was on the CPU then


@pytest.mark.large
def test_a_network_is_measured_in_a_process_of_its_own(scripts):
    pytest.importorskip("mlxtend")
    run = scripts("run")
    found = run.measured(run.Case("resnet8/vsq-accel", "models/case.py", ("resnet8", "vsq-accel")))
    assert found.keys() == CASE.keys()
    assert found["macs"] == 9_345_920
    assert sum(layer["cycles"] for layer in found["layers"]) == found["cycles"]
    assert 300 < found["peak_mib"] < 4096
    assert found["fp32_ms"] > 0


def test_a_wider_machine_differs_in_its_vectors_alone(scripts):
    padding = scripts("padding")
    wide, shipped = padding.widened("vsq-accel-w4a8", 32), tvm_vsq.load_hardware("vsq-accel-w4a8")
    changed = {key: value for key, value in wide.model_dump().items() if value != shipped.model_dump()[key]}
    assert changed == {"name": "vsq-accel-w4a8_V32", "vector_size": 32}
