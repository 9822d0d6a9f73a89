"""Formats chosen for each layer of the trained ResNet-8: what the mix costs, and how accurate it is.

Sensitivity, choice and SQNR come from 64 training digits; accuracy from the held-out digits, in integers
(`fake_quantize`). Energy is that of one inference relative to 8/8/-/- everywhere.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import tvm_vsq

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples/resnet8_mnist"))
from data import load_digits
from model import load_trained

FORMATS = ("3/3/4/4", "4/4/4/4", "6/6/4/4", "8/8/-/-")
TARGETS_DB = (20.0, 30.0)
ENERGY_RATIOS = (0.6, 0.8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot", type=Path, help="write the sensitivity profile as an image")
    arguments = parser.parse_args()
    digits, model = load_digits(), load_trained()
    calibration = digits.train_images[:64]
    common = {"example_inputs": (torch.from_numpy(calibration[:1]),), "calibration": calibration}

    def accuracy(quant: str | tvm_vsq.QuantConfig) -> float:
        network = tvm_vsq.fake_quantize(model, quant=quant, **common).eval()
        return float((network(digits.test_images).argmax(1) == digits.test_labels).mean())

    table = Table(title=f"ResNet-8, {len(digits.test_labels)} held-out digits", title_justify="left")
    table.add_column("aim or format")
    for heading in ("SQNR dB", "energy", "accuracy"):
        table.add_column(heading, justify="right")
    table.add_column("layers by format")
    profile = tvm_vsq.profile_formats(model, formats=FORMATS, **common, progress=False)
    aims = [("target_sqnr_db", target) for target in TARGETS_DB]
    aims += [("max_energy_ratio", ratio) for ratio in ENERGY_RATIOS]
    for name, value in aims:
        found = profile.choose(**{name: value})
        chosen = list(found.formats.values())
        counts = [f"{chosen.count(notation)} x {notation}" for notation in FORMATS if notation in chosen]
        row = (f"{found.sqnr_db:.1f}", f"{found.energy_ratio:.3f}", f"{accuracy(found.config):.1%}")
        table.add_row(f"{name}={value:g}", *row, ", ".join(counts))
    table.add_section()
    energy = [sum(row[notation] for row in profile.energy_pj.values()) for notation in FORMATS]
    for notation, noise, pj in zip(FORMATS, profile.sensitivity.uniform, energy, strict=True):
        row = (f"{-10 * np.log10(noise):.1f}", f"{pj / max(energy):.3f}", f"{accuracy(notation):.1%}")
        table.add_row(notation, *row, "all")
    print(profile.sensitivity)
    Console(width=120).print(table)
    print(f"energy, {profile.not_counted}")
    if arguments.plot:
        profile.sensitivity.plot(arguments.plot)


if __name__ == "__main__":
    main()
