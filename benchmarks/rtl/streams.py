"""RTL with operands of real layers, against the simulator, and what these operands are like.

    python benchmarks/rtl/streams.py                                   # all networks on all targets
    python benchmarks/rtl/streams.py --networks ResNet-8 --targets vsq-accel --save /tmp/streams

For each layer and block: cycles recorded, those in which the RTL (under Verilator; NumPy besides) and the
simulator differ; the share of zero elements; that of cycles whose accumulator entry the same instruction used
so many cycles before, which a pipeline has to forward; and the bits that toggle from a cycle to the next, a
bit of the port. ResNet-50 has random weights: its shares say nothing of a trained one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

import tvm_vsq
from tvm_vsq import Executable, QuantConfig
from tvm_vsq.hardware import list_targets, load_hardware
from tvm_vsq.rtl import ComputeOperands, Operands, VectorOperands, check_stream, differences
from tvm_vsq.rtl.blocks import blocks
from tvm_vsq.rtl.streams import Stream, save, streams

ROOT = Path(__file__).resolve().parents[2]
LANE = 5
HEADINGS = (
    "network",
    "target",
    "layer",
    "block",
    "cycles",
    "of",
    "RTL differs",
    "NumPy differs",
    "zeros w",
    "zeros a",
    "entry again after 1",
    "2",
    "3 to 5",
    "toggles w",
    "toggles a",
    "toggles acc",
)


@dataclass(frozen=True)
class Network:
    """chosen: units of the layers, "op:n" the n-th of an operator."""

    load: Callable[[], tuple[nn.Module, torch.Tensor, torch.Tensor]]  # model, calibration, input
    chosen: dict[str, tuple[str, ...]]
    fitted: bool = True


def resnet8() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    sys.path.insert(0, str(ROOT / "examples/resnet8_mnist"))
    from data import load_digits
    from model import load_trained

    digits = load_digits()
    return (
        load_trained(),
        torch.from_numpy(digits.train_images[:64]),
        torch.from_numpy(digits.test_images[:1]),
    )


def resnet50() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from resnet50 import ResNet50

    torch.manual_seed(0)
    model, x = ResNet50().eval(), torch.randn(1, 3, 224, 224)
    return model, x, x


def lite0() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    sys.path.insert(0, str(ROOT / "examples/efficientnet_photos"))
    from lite0 import load_trained
    from pixels import pixels
    from sample_photos import load_photos

    photos = load_photos()
    calibration = pixels(photos.calibration)
    mirrored = np.concatenate([calibration, calibration[..., ::-1]])[:16]
    return load_trained(), torch.from_numpy(mirrored), torch.from_numpy(pixels(photos.shown[:1]))


BOTH = ("compute", "ppu")
NETWORKS = {
    "ResNet-8": Network(
        resnet8,
        {"conv2d:0": BOTH, "conv2d:2": BOTH, "conv2d:5": BOTH, "conv2d:7": BOTH, "avg_pool2d:0": ("vector",)},
    ),
    "ResNet-50": Network(
        resnet50,
        {
            **dict.fromkeys(("conv2d:0", "conv2d:2", "conv2d:3", "conv2d:25", "conv2d:51"), BOTH),
            "max_pool2d:0": ("vector",),
            "avg_pool2d:0": ("vector",),
        },
        fitted=False,
    ),
    "EfficientNet-Lite0": Network(
        lite0,
        {
            **dict.fromkeys(("conv2d:0", "conv2d:1", "conv2d:10", "conv2d:20", "conv2d:32"), BOTH),
            "depthwise_conv2d:5": ("ppu",),
            "avg_pool2d:0": ("vector",),
        },
    ),
}


def compiled(network: Network, target: str) -> tuple[Executable, torch.Tensor]:
    model, calibration, x = network.load()
    quant = QuantConfig.of_hardware(load_hardware(target))
    quant = quant if network.fitted else quant.unfitted()
    return tvm_vsq.compile(model, target, example_inputs=(x,), quant=quant, calibration=calibration), x


def layer_named(exe: Executable, chosen: str) -> str:
    op, _, number = chosen.partition(":")
    return [layer.name for layer in exe.metadata.layers if layer.op == op][int(number)]


def again(instruction: np.ndarray, entry: np.ndarray) -> list[str]:
    """Shares of cycles whose entry was used 1, 2, or 3 to 5 cycles before by the same instruction."""
    last: dict[tuple[int, int], int] = {}
    counts = np.zeros(3)
    for cycle, key in enumerate(zip(instruction.tolist(), entry.tolist(), strict=True)):
        distance = cycle - last.get(key, cycle)
        last[key] = cycle
        if 1 <= distance <= 5:
            counts[min(distance, 3) - 1] += 1
    return [f"{count / len(entry):.1%}" for count in counts]


def toggles(numbers: np.ndarray, bits: int) -> float:
    """Of [cycles, lanes] in two's complement, bits that differ from the cycle before, a bit."""
    changed = (numbers[1:] ^ numbers[:-1]) & ((1 << bits) - 1)
    return float(np.mean(np.bitwise_count(changed)) / bits) if len(changed) else 0.0


def what_it_is_like(exe: Executable, operands: Operands, stream: Stream) -> list[str]:
    ports = {port.name: port for port in blocks(exe.hardware)[stream.block].inputs}

    def toggling(*names: str) -> str:
        width = sum(ports[name].width for name in names)
        bits = sum(toggles(stream.inputs[name], ports[name].bits) * ports[name].width for name in names)
        return f"{bits / width:.1%}"

    if isinstance(operands, ComputeOperands):
        read = ~operands.reset
        return [
            f"{np.mean(operands.weights[read] == 0):.1%}",
            f"{np.mean(operands.activations[read] == 0):.1%}",
            *again(operands.instruction, operands.entry),
            toggling("weights", "weight_scale"),
            toggling("activations", "activation_scale"),
            toggling("acc_in"),
        ]
    if isinstance(operands, VectorOperands):
        zeros = (
            f"{np.mean(operands.element[~operands.src_imm] == 0):.1%}" if not operands.src_imm.all() else "-"
        )
        reused = again(operands.instruction, operands.entry)
        return ["-", zeros, *reused, "-", toggling("element", "scale"), toggling("acc_in")]
    return ["-"] * 7 + [toggling("acc")]


@dataclass(frozen=True)
class Recorded:
    layer: str
    operands: Operands
    stream: Stream


def recorded(name: str, exe: Executable, x: torch.Tensor, cycles: int) -> list[Recorded]:
    found = []
    for chosen, units in NETWORKS[name].chosen.items():
        layer = layer_named(exe, chosen)
        for unit in units:
            operands = exe.operands(layer, x, unit=unit, cycles=cycles, lane=0 if unit == "ppu" else LANE)
            found += [Recorded(layer, operands, stream) for stream in streams(exe.hardware, operands)]
    return found


def joined(parts: Sequence[Stream]) -> Stream:
    """One after the other: a simulator is built once for all of them."""
    first = parts[0]
    inputs = {port: np.concatenate([part.inputs[port] for part in parts]) for port in first.inputs}
    simulated = {
        port: (
            np.concatenate([part.simulated[port][0] for part in parts]),
            np.concatenate([part.simulated[port][1] for part in parts]),
        )
        for port in first.simulated
    }
    return Stream(first.block, inputs, simulated)


def clocks_that_differ(exe: Executable, found: Sequence[Recorded]) -> list[int]:
    """Of the RTL, for each stream; one by one only where there are any."""
    groups: dict[str, list[Stream]] = {}
    for each in found:
        groups.setdefault(each.stream.block, []).append(each.stream)
    good = {block for block, parts in groups.items() if check_stream(exe.hardware, joined(parts)).wrong == 0}
    return [
        0 if each.stream.block in good else check_stream(exe.hardware, each.stream).wrong for each in found
    ]


def report(name: str, target: str, cycles: int, folder: Path | None) -> int:
    """Prints a row for each stream; differences in all."""
    exe, x = compiled(NETWORKS[name], target)
    found, wrong = recorded(name, exe, x, cycles), 0
    for each, clocks in zip(found, clocks_that_differ(exe, found), strict=True):
        numbers = differences(exe.hardware, each.stream)
        counts = [f"{count:,}" for count in (len(each.operands), each.operands.cycles, clocks, numbers)]
        like = what_it_is_like(exe, each.operands, each.stream)
        row = [name, target, each.layer, each.stream.block, *counts, *like]
        print("| " + " | ".join(row) + " |", flush=True)
        wrong += clocks + numbers
        if folder is not None:
            save(each.stream, folder / f"{name}.{target}.{each.layer}.{each.stream.block}.npz")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--targets", nargs="+", default=list_targets())
    parser.add_argument("--cycles", type=int, default=4000, help="recorded of each layer and unit, at most")
    parser.add_argument("--save", type=Path, help="an existing folder for the streams, as .npz")
    arguments = parser.parse_args()
    print("| " + " | ".join(HEADINGS) + " |")
    print("| --- | --- | --- | --- |" + " ---: |" * (len(HEADINGS) - 4))
    wrong = sum(
        report(name, target, arguments.cycles, arguments.save)
        for name in arguments.networks
        for target in arguments.targets
    )
    if wrong:
        raise SystemExit(f"{wrong} differences")


if __name__ == "__main__":
    main()
