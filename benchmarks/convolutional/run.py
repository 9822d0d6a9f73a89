"""Convolutional networks whole on the chip: what each costs, and how close to fp32 it is.

    make bench-networks                                          # all on all targets, into docs/networks.md
    python benchmarks/convolutional/run.py --only "ResNet-18"    # prints the rows alone

Cycles and energy are simulated, with the schedules that ship where there are some. Every network is compiled
with strict=True: where that is refused, the error takes the place of the row.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from topologies import TOPOLOGIES, build, input_shape
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import tvm_vsq
from tvm_vsq import QuantConfig
from tvm_vsq.hardware import list_targets, load_hardware

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs/networks.md"
SAMPLES, EVALUATED, RUNS = 16, 8, 5
PAUSE, TURN = 0.05, 0.05  # seconds
HEADINGS = (
    "network",
    "target",
    "layers",
    "MACs, M",
    "of the model, M",
    "of these on the chip",
    "operators on the chip",
    "before and behind, on the CPU",
    "cycles",
    "depthwise / others",
    "MAC util.",
    "energy, mJ",
    "SQNR, dB",
    "simulate, ms",
    "/ ONNX Runtime",
)


def lite0() -> tuple[nn.Module, np.ndarray, np.ndarray]:
    """EfficientNet-Lite0 with its ImageNet weights, on the photos of its example."""
    sys.path.append(str(ROOT / "examples/efficientnet_photos"))
    from lite0 import load_trained
    from pixels import pixels
    from sample_photos import load_photos

    photos = load_photos()
    calibration = pixels(photos.calibration)
    mirrored = np.concatenate([calibration, calibration[..., ::-1]])[:SAMPLES]
    return load_trained(), mirrored, pixels(photos.shown)[:EVALUATED]


def random(name: str) -> tuple[nn.Module, np.ndarray, np.ndarray]:
    """A topology, and smooth random images or sounds."""
    rng = np.random.default_rng(0)
    channels, *extents = input_shape(name)
    size = (SAMPLES + EVALUATED, channels, *(-(-extent // 8) for extent in extents))
    coarse = rng.standard_normal(size, dtype=np.float32)
    smooth = np.kron(coarse, np.ones([8] * len(extents), np.float32))
    x = np.ascontiguousarray(smooth[(..., *map(slice, extents))])
    return build(name), x[:SAMPLES], x[SAMPLES:]


NETWORKS: dict[str, Callable[[], tuple[nn.Module, np.ndarray, np.ndarray]]] = {
    "EfficientNet-Lite0": lite0,
    **{name: (lambda name=name: random(name)) for name in TOPOLOGIES},
}


def in_turns(runs: list[Callable[[], object]]) -> list[float]:
    """The fastest seconds of each, in turns, so that both see the same machine.

    A turn begins with a pause, in which threads that the other one left spinning go to sleep.
    """
    best = [float("inf")] * len(runs)
    for _ in range(RUNS):
        for index, run in enumerate(runs):
            time.sleep(PAUSE)
            turn = time.perf_counter()
            while (start := time.perf_counter()) - turn < TURN:
                run()
                best[index] = min(best[index], time.perf_counter() - start)
    return best


def macs_of(model: nn.Module, x: np.ndarray) -> float:
    """Multiplications of the model's own layers, as torch counts them."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(torch.from_numpy(x))
    return counter.get_total_flops() / 2


def joined(results: object) -> np.ndarray:
    """All results of a network, [samples, elements]."""
    tensors = results if isinstance(results, tuple | list) else [results]
    return np.concatenate([np.asarray(tensor).reshape(len(tensor), -1) for tensor in tensors], axis=1)


def row(name: str, target: str) -> list[str]:
    """What one network is on one target."""
    model, calibration, x = NETWORKS[name]()
    quant = QuantConfig.of_hardware(load_hardware(target))
    exe = tvm_vsq.compile(
        model,
        target,
        quant=quant.unfitted() if name in TOPOLOGIES else quant,  # random weights gain nothing by fitting
        example_inputs=(torch.from_numpy(x[:1]),),
        calibration=calibration,
        strict=True,
    )
    profile = exe.timing()
    with torch.no_grad():
        expected = joined(model(torch.from_numpy(x)))
    found = np.concatenate([joined(exe(x[i : i + 1])) for i in range(len(x))])
    loss = np.square(expected).sum() / np.square(expected - found).sum()
    path = ROOT / "build" / "convolutional.onnx"
    path.parent.mkdir(exist_ok=True)
    sample = (torch.from_numpy(x[:1]),)
    torch.onnx.export(model, sample, str(path), dynamo=False, opset_version=17, input_names=["x"])
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    ours, theirs = in_turns([lambda: exe(x[:1]), lambda: session.run(None, {"x": x[:1]})])
    depthwise = sum(layer.cycles for layer in profile.layers if layer.op == "depthwise_conv2d")
    placed = exe.explain()
    on_chip = sum(each.where == "accelerator" for each in placed)
    return [
        name,
        target,
        str(len(profile.layers)),
        f"{profile.macs / 1e6:,.1f}",
        f"{macs_of(model, x[:1]) / 1e6:,.1f}",
        f"{1 - profile.not_counted.macs_share:.1%}",
        str(on_chip),
        str(len(placed) - on_chip),
        f"{profile.cycles:,}",
        f"{depthwise / (profile.cycles - depthwise):.2f}" if depthwise else "-",
        f"{profile.utilization:.1%}",
        f"{profile.energy_pj / 1e9:.2f}",
        f"{10 * np.log10(loss):.1f}",
        f"{1e3 * ours:.1f}",
        f"{ours / theirs:.1f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=NETWORKS, help="print the rows of these alone")
    parser.add_argument("--targets", nargs="+", default=list_targets())
    parser.add_argument("--case", nargs=2, help=argparse.SUPPRESS)  # one row, in a process of its own
    arguments = parser.parse_args()
    if arguments.case:
        print("| " + " | ".join(row(*arguments.case)) + " |")
        return
    lines = ["| " + " | ".join(HEADINGS) + " |", "| --- | --- |" + " ---: |" * (len(HEADINGS) - 2)]
    print(*lines, sep="\n", flush=True)
    for name in arguments.only or NETWORKS:
        for target in arguments.targets:
            done = subprocess.run(
                [sys.executable, __file__, "--case", name, target], capture_output=True, text=True
            )
            if done.returncode == 0:
                lines.append(done.stdout.strip().splitlines()[-1])
            else:
                why = done.stderr.strip().splitlines()[-1].partition(": ")[2]
                lines.append(f"| {name} | {target} | refused: {why} |" + " |" * (len(HEADINGS) - 3))
            print(lines[-1], flush=True)
    if not arguments.only:
        head = DOCUMENT.read_text(encoding="utf-8").rpartition("| network | target | layers |")[0]
        DOCUMENT.write_text(head + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
