"""How fast each command of `tvm-vsq` is, and how wide what it prints is: prints the table of docs/shell.md.

The network is the trained ResNet-8 of examples/; seconds are CPU time, of user and system, of a process each.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples" / "resnet8_mnist"))
TERMINALS = (80, 120)  # columns

STARTING = (
    "--help",
    "--version",
    "compile --wrong",
    "compile none.pt2 -o a.so",
    "profile none.so",
    "target list",
    "target show vsq-accel",
)
OF_ARTIFACTS = (
    "explain a.so",
    "profile a.so",
    "profile a.so --why",
    "profile a.so --tables",
    "compare a.so b.so",
    "compare vsq-accel vsq-accel-int8",
    "disasm a.so",
)
OF_MODELS = (
    "compile net.pt2 --calibration samples.npy -o new.so",
    "report net.pt2 --calibration samples.npy",
    "mix net.pt2 --calibration samples.npy --formats 4/4/4/4,8/8/-/- --max-energy-ratio 0.8",
    "tune net.pt2 -o tuned.json --trials 2",
    "sweep net.pt2 -o swept --axis quant=4/4/4/4,8/8/-/- --workers 1",
)


@dataclass(frozen=True)
class Row:
    """A command's CPU seconds, and the characters of its longest line in each of TERMINALS."""

    words: str
    seconds: float
    widths: tuple[int, ...]

    def __str__(self) -> str:
        return f"| `tvm-vsq {self.words}` | {self.seconds:.1f} | {' | '.join(map(str, self.widths))} |"


def measured(words: str, folder: Path) -> Row:
    """Run the command once for each width; raises RuntimeError for one that fails and should not."""
    seconds, widths = [], []
    for columns in TERMINALS:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", "tvm_vsq", *words.split()],
            cwd=folder,
            env={**os.environ, "COLUMNS": str(columns)},
            capture_output=True,
            text=True,
            check=False,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode and not ("none." in words or "--wrong" in words):
            raise RuntimeError(f"tvm-vsq {words} failed: {done.stderr}")
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        widths.append(max(map(len, (done.stdout or done.stderr).splitlines())))
    return Row(words, min(seconds), tuple(widths))


def write_inputs(folder: Path) -> None:
    """net.pt2, samples.npy, and a.so and b.so of the network in two formats."""
    import torch
    from data import load_digits
    from model import load_trained

    import tvm_vsq

    samples = load_digits().train_images[:64]
    program = torch.export.export(load_trained().eval(), (torch.zeros(1, 1, 28, 28),))
    torch.export.save(program, folder / "net.pt2")
    np.save(folder / "samples.npy", samples)
    for name, target in (("a", "vsq-accel"), ("b", "vsq-accel-int8")):
        tvm_vsq.compile(program, target, calibration=samples).save(folder / f"{name}.so")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder)
        print("| command | CPU s |", " | ".join(f"at {columns}" for columns in TERMINALS), "|")
        print("| --- | ---: |", " | ".join("---:" for _ in TERMINALS), "|")
        for words in (*STARTING, *OF_ARTIFACTS, *OF_MODELS):
            print(measured(words, folder), flush=True)


if __name__ == "__main__":
    main()
