"""The command line as programs use it: processes of its own, one after the other, in pipes and files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import tvm_vsq


def shell(folder: Path, words: str) -> str:
    """What the command prints; nothing may be on stderr: no bars in a log, and no word of TVM or torch."""
    done = subprocess.run(
        [sys.executable, "-m", "tvm_vsq", *words.split()],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.large
def test_a_target_is_edited_and_a_model_compiled_for_it_and_profiled(networks, tmp_path):
    model, x = networks.build(networks.Mlp)
    torch.export.save(torch.export.export(model, (x,)), tmp_path / "net.pt2")
    np.save(tmp_path / "samples.npy", networks.samples(networks.Mlp, 32))

    shown = shell(tmp_path, "target show vsq-accel")
    assert max(map(len, shown.splitlines())) <= 80
    mine = shown.replace("name: vsq-accel", "name: mine").replace("output_lanes: 16", "output_lanes: 8")
    mine = mine.replace("ppu_pipeline_cycles: 10", "ppu_pipeline_cycles: 11")
    (tmp_path / "mine.yaml").write_text(mine, encoding="utf-8")
    words = "compile net.pt2 --calibration samples.npy --target mine.yaml -o net.so --json"
    written = json.loads(shell(tmp_path, words))
    assert (written["output"], written["target"]) == ("net.so", "mine")
    profile = json.loads(shell(tmp_path, "profile net.so --json"))
    timing = tvm_vsq.load(tmp_path / "net.so").timing()
    assert (profile["cycles"], timing.hardware.output_lanes) == (timing.cycles, 8)
