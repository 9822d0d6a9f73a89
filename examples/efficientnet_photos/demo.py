"""What is on real photos: EfficientNet-Lite0, whole on the simulated chip, beside torch's answers in fp32."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from comparison import Array, Result, agrees, cost, table
from lite0 import class_names, load_trained
from pixels import pixels
from placement import described
from rich.console import Console
from sample_photos import SamplePhotos, load_photos
from torch import nn

import tvm_vsq

TARGETS = (("vsq-accel-w4a8", "4/8/6/10"), ("vsq-accel", "4/4/4/4"))


@dataclass(frozen=True)
class Everything:
    """What the demo is made of; all of it comes inside packages."""

    model: nn.Module
    names: Sequence[str]  # of the classes
    photos: SamplePhotos


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    targets = [target for target, _ in TARGETS]
    parser.add_argument("--targets", nargs="+", choices=targets, default=targets)
    arguments = parser.parse_args()
    console = Console(width=132)
    try:
        with console.status("the network, its weights and photos, from packages"):
            everything = Everything(load_trained(), class_names(), load_photos())
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        left_out = f"LEFT OUT: what is on real photos, by EfficientNet-Lite0: {reason}"
        console.print(left_out, style="bold red", markup=False, highlight=False, soft_wrap=True)
        return
    show(everything, [run for run in TARGETS if run[0] in arguments.targets], console)


def show(everything: Everything, runs: Sequence[tuple[str, str]], console: Console) -> list[Result]:
    """Classify the photos in torch and on each target; print the table and what it costs."""
    model, photos = everything.model, everything.photos
    images, calibration = pixels(photos.shown), pixels(photos.calibration)
    calibration = np.concatenate([calibration, calibration[..., ::-1]])
    with torch.no_grad():
        fp32 = model(torch.from_numpy(images)).numpy()
    results = [run(model, images, calibration, target, quant, console) for target, quant in runs]
    console.print(table(photos.shown, everything.names, fp32, results))
    console.print(
        f"calibrated on {len(photos.calibration)} other photos of ImageNet and their mirror images; what the "
        f"chip makes of {photos.shown[0].name} is bit for bit what TensorIR on the CPU does (exe.reference)",
        highlight=False,
    )
    for result in results:
        console.print(cost(result, agrees(result.logits, fp32)), markup=False, highlight=False)
    return results


def run(
    model: nn.Module, images: Array, calibration: Array, target: str, quant: str, console: Console
) -> Result:
    """Compile, run every photo on the simulator, and compare the first with the reference on the CPU."""
    begin = time.perf_counter()
    with console.status(f"{quant}: compile"):
        exe = tvm_vsq.compile(
            model,
            target,
            quant=quant,
            calibration=calibration,
            example_inputs=(torch.from_numpy(images[:1]),),
        )
    compiled = time.perf_counter()
    with console.status(f"{quant}: photos on the simulator"):
        logits = np.asarray(exe.run_batch(images))
    simulated = time.perf_counter()
    with console.status(f"{quant}: the first photo as TensorIR on the CPU (some seconds)"):
        if not np.array_equal(logits[:1], exe.reference(images[:1])):
            raise SystemExit("the simulator and the reference differ: please report this")
    compared = time.perf_counter()
    console.print(
        f"{quant}: compiled in {compiled - begin:.0f} s, {len(images)} photos simulated in "
        f"{simulated - compiled:.1f} s, one compared with exe.reference in {compared - simulated:.0f} s",
        highlight=False,
    )
    profile = exe.timing()
    return Result(target, quant, logits, profile, described(exe, profile))


if __name__ == "__main__":
    main()
