"""`tvm-vsq sweep`."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import torch
import yaml
from tests.explore.here import Here
from torch import nn

from tvm_vsq import cli
from tvm_vsq.explore import SweepResult, run


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with net.pt2, x.npy and labels.npy, right for three of four samples."""
    folder = tmp_path_factory.mktemp("sweep")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(128, 5)).eval()
    x = np.random.default_rng(0).standard_normal((32, 3, 6, 6)).astype(np.float32)
    torch.export.save(torch.export.export(model, (torch.from_numpy(x[:1]),)), folder / "net.pt2")
    answers = model(torch.from_numpy(x)).argmax(1).numpy()
    np.save(folder / "x.npy", x)
    np.save(folder / "labels.npy", np.where(np.arange(32) % 4, answers, (answers + 1) % 5))
    (folder / "space.yaml").write_text(
        yaml.safe_dump({"quant": ["4/4/4/4", "8/8/-/-"], "output_lanes": [16]})
    )
    (folder / "own.py").write_text("SCALE = 2\n\n\ndef score(network):\n    return {'score': SCALE * 1.5}\n")
    return folder


@pytest.fixture
def command(files, capfd, monkeypatch, tmp_path):
    """Run `tvm-vsq sweep` in this process; returns its exit code, output and errors."""

    @contextmanager
    def workers(_count, _scheduler):
        yield Here()

    monkeypatch.setattr(run, "started_workers", workers)
    monkeypatch.chdir(files)

    def command(*arguments, output=tmp_path / "out"):
        words = ["sweep", "net.pt2", "-o", output, *arguments]
        monkeypatch.setattr(sys, "argv", ["tvm-vsq", *map(str, words)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        return int(end.value.code or 0), *capfd.readouterr()

    return command


def test_accuracy_is_of_labels(command, tmp_path):
    given = "--calibration", "x.npy", "--data", "x.npy", "--labels", "labels.npy", "--space", "space.yaml"
    code, out, _ = command(*given, "--constraint", "accuracy >= fp32 - 0.5", "--html", tmp_path / "s.html")
    assert code == 0
    assert "2 points, 2 feasible" in out
    result = SweepResult.load(tmp_path / "out")
    assert result.fp32 == {"accuracy": 0.75}
    assert [row["quant"] for row in result.rows] == ["4/4/4/4", "8/8/-/-"]
    assert "2 points" in (tmp_path / "s.html").read_text()


def test_without_labels_the_error_against_fp32_is_looked_at(command, tmp_path):
    code, out, _ = command("--calibration", "x.npy", "--axis", "quant=3/3/4/4,8/8/-/-", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["objectives"][0] == {"name": "relative_error", "maximize": False}
    coarse, fine = (row["relative_error"] for row in found["rows"])
    assert coarse > fine > found["fp32"]["relative_error"] == 0


def test_the_model_is_the_same_however_it_is_evaluated(command, tmp_path):
    digests = set()
    samples = "--axis", "quant=8/8/-/-", "--calibration", "x.npy"
    for number, given in enumerate([samples, (*samples, "--data", "x.npy", "--labels", "labels.npy")]):
        assert command(*given, output=tmp_path / f"{number}")[0] == 0
        digests.add(json.loads((tmp_path / f"{number}" / "sweep.json").read_text())["model"])
    assert len(digests) == 1


def test_files_that_are_written_are_named(command, tmp_path):
    code, out, err = command("--axis", "clock_mhz=500,5000", "--plot", tmp_path / "a.svg")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == f"wrote {tmp_path / 'out'}, {tmp_path / 'a.svg'}"
    assert "clock_mhz=5000 is taken as it is; the RTL meets" in out
    assert "clock_mhz=500 is" not in out


def test_an_own_function_evaluates(command):
    code, out, _ = command(
        "--calibration", "x.npy", "--evaluate", "own.py:score", "--axis", "vector_size=16,32", "--json"
    )
    assert code == 0
    found = json.loads(out)
    assert [row["score"] for row in found["rows"]] == [3.0, 3.0]
    assert found["metrics"] == ["score"]


def test_costs_need_no_data(command, tmp_path):
    code, *_ = command("--axis", "dram.bytes_per_cycle=8,16", "--axis", "quant=4/4/4/4")
    assert (code, SweepResult.load(tmp_path / "out").metrics) == (0, ())


def test_ctrl_c_says_where_to_go_on(command, monkeypatch, tmp_path):
    @contextmanager
    def workers(_count, _scheduler):
        yield Here(stop_after=1)

    monkeypatch.setattr(run, "started_workers", workers)
    code, _, err = command("--axis", "quant=4/4/4/4")
    assert code == 130
    assert f"what is finished is in {tmp_path / 'out'}: the same command goes on from there" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give a file with --space, or axes with --axis"),
        (("--axis", "quant=4/4/4/4", "--space", "space.yaml"), "give a file with --space"),
        (("--axis", "quant"), "--axis 'quant' is not understood"),
        (("--axis", "vector_size=16", "--axis", "vector_size=32"), "once for each"),
        (("--space", "nothing.yaml"), "nothing.yaml"),
        (("--axis", "quant=4/4/4/4", "--labels", "labels.npy"), "give samples with --calibration"),
        (
            ("--axis", "quant=4/4/4/4", "--calibration", "x.npy", "--labels", "labels.npy"),
            "labels are of --data",
        ),
        (("--axis", "quant=4/4/4/4,4/4/4/4"), "'4/4/4/4' stands for several values"),
        (("--axis", "quant=4/4/4/4", "--calibration", "x.npy", "--evaluate", "own.py"), "FILE.py:FUNCTION"),
        (
            ("--axis", "quant=4/4/4/4", "--calibration", "x.npy", "--evaluate", "own.py:other"),
            "no function other",
        ),
        (
            ("--axis", "quant=4/4/4/4", "--calibration", "x.npy", "--data", "x.npy", "--labels", "x.npy"),
            "labels are integers",
        ),
    ],
)
def test_what_is_wrong_is_said(command, arguments, message):
    code, _, err = command(*arguments)
    assert code
    assert message in " ".join(err.replace("│", " ").split())
