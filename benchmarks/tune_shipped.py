"""Writes schedules/: the layers of five networks, tuned for every shipped accelerator.

A search that was interrupted goes on: layers that have a record of as many trials, on the same hardware and
by the same lowering, are not searched again. Encoders have random weights and take 128 tokens, batch 1. Of
their equal layers a first and a last one are searched; the cycles are those of all of them.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from resnet50 import ResNet50
from rich.console import Console
from rich.table import Table

import tvm_vsq
from tvm_vsq.hardware import list_targets

sys.path.append(str(Path(__file__).parents[1] / "examples/resnet8_mnist"))
sys.path.append(str(Path(__file__).parents[1] / "examples/efficientnet_photos"))
sys.path.append(str(Path(__file__).parent / "encoders"))
import lite0
from model import load_trained
from shapes import NETWORKS

SCHEDULES = Path(__file__).resolve().parents[1] / "schedules"

TRIALS = {"resnet8": 96, "resnet50": 20, "efficientnet_lite0": 12, "minilm": 24, "bert_base": 24}
"""For each layer. The others have more of them, and are themselves what the best ones are tried in."""

ENCODERS = {"minilm": "MiniLM", "bert_base": "base"}
"""Their names in encoders/shapes.py."""


def model_of(name: str, layers: int | None = None) -> tuple[torch.nn.Module, torch.Tensor]:
    """The network, and one input. layers: of an encoder, all if None."""
    if name in ENCODERS:
        return NETWORKS[ENCODERS[name]].model(layers), torch.randint(0, 1000, (1, 128))
    if name == "resnet8":
        return load_trained(), torch.zeros(1, 1, 28, 28)
    large = torch.zeros(1, 3, 224, 224)
    return (lite0.load_trained() if name == "efficientnet_lite0" else ResNet50().eval()), large


def quantized(model: torch.nn.Module, sample: torch.Tensor, target: str) -> Any:
    """For shapes alone: nothing is fitted."""
    return tvm_vsq.quantize_model(
        model,
        target,
        quant=tvm_vsq.QuantConfig.of_hardware(tvm_vsq.load_hardware(target)).unfitted(),
        example_inputs=(sample,),
        calibration=torch.randn_like(sample) if sample.is_floating_point() else [(sample,)],
        check_import=False,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--targets", nargs="+", default=list_targets())
    parser.add_argument("--models", nargs="+", default=list(TRIALS), choices=TRIALS)
    parser.add_argument("--trials", type=int, help=f"schedules measured for each layer (default: {TRIALS})")
    parser.add_argument("--output", type=Path, default=SCHEDULES, help="folder of the databases")
    arguments = parser.parse_args()
    table = Table(title="Simulated cycles with default and with tuned schedules", title_justify="left")
    for heading in ("target", "model", "trials", "default", "tuned", "tuned / default"):
        table.add_column(heading, justify="right", no_wrap=True)
    for target in arguments.targets:
        path = arguments.output / f"{target}.json"
        for name in arguments.models:
            trials = arguments.trials or TRIALS[name]
            searched = quantized(*model_of(name, layers=2), target)
            tvm_vsq.tune(searched, target, trials=trials, database=path)
            module = quantized(*model_of(name), target) if name in ENCODERS else searched
            default, tuned = (
                tvm_vsq.compile(module, target, schedules=s).timing().cycles for s in ("default", path)
            )
            table.add_row(target, name, str(trials), f"{default:,}", f"{tuned:,}", f"{tuned / default:.4f}")
            print(f"{name} on {target}: {default:,} -> {tuned:,} cycles", flush=True)
        database = tvm_vsq.Database.load(path)
        database.current(tvm_vsq.load_hardware(target)).save(path, since=database)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
