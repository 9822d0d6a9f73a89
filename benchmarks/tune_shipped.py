"""Writes schedules/: the layers of ResNet-8 (or ResNet-50), tuned for every shipped accelerator."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from resnet50 import ResNet50
from rich.console import Console
from rich.table import Table

import tvm_vsq
from tvm_vsq.hardware import list_targets

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "examples" / "resnet8_mnist"))


def main() -> None:
    from model import load_trained

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", nargs="+", default=list_targets())
    parser.add_argument("--models", nargs="+", default=["resnet8"], choices=["resnet8", "resnet50"])
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--output", type=Path, default=ROOT / "schedules", help="folder of the databases")
    arguments = parser.parse_args()
    models = {
        "resnet8": (load_trained(), torch.zeros(1, 1, 28, 28)),
        "resnet50": (ResNet50().eval(), torch.zeros(1, 3, 224, 224)),
    }
    table = Table(title=f"Tuning, up to {arguments.trials} trials a layer", title_justify="left")
    for heading in ("target", "model", "default cycles", "tuned cycles", "tuned / default"):
        table.add_column(heading, justify="right", no_wrap=True)
    for target in arguments.targets:
        path, hardware = arguments.output / f"{target}.json", tvm_vsq.load_hardware(target)
        for name in arguments.models:
            model, sample = models[name]
            tvm_vsq.tune(model, target, trials=arguments.trials, example_inputs=(sample,), database=path)
            default, tuned = (
                tvm_vsq.compile(
                    model,
                    hardware,
                    quant=tvm_vsq.QuantConfig.of_hardware(hardware).unfitted(),
                    example_inputs=(sample,),
                    calibration=torch.randn_like(sample),
                    schedules=s,
                )
                .profile(sample)
                .cycles
                for s in ("default", path)
            )
            table.add_row(target, name, f"{default:,}", f"{tuned:,}", f"{tuned / default:.3f}")
        database = tvm_vsq.Database.load(path)
        database.current(hardware).save(path, since=database)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
