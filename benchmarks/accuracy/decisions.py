"""Decisions of EfficientNet-Lite0 on all photos, labelled or not, by how layers are fitted.

    make .venv/accuracy.stamp && .venv/bin/python benchmarks/accuracy/decisions.py

What fp32 decides needs no label, so that more photos count than in docs/accuracy.md's table. About 8 minutes.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

sys.path.append(str(Path(__file__).resolve().parents[2] / "examples/efficientnet_photos"))
import efficientnet
from evaluate import outputs
from metrics import sqnr_db
from photos import unlabelled
from pixels import pixels
from rich.console import Console
from rich.table import Table
from rows import AIMS, Row

import tvm_vsq
from tvm_vsq.frontend import import_model

ALONE = "defaults, each layer fitted alone"


def main() -> None:
    network = efficientnet.load()
    labelled = len(network.inputs[0])
    others = pixels([photo.path for photo in unlabelled()[efficientnet.CALIBRATION :]])
    network = replace(network, inputs=(np.concatenate([network.inputs[0], others]),))
    groups = {f"{labelled} labelled": slice(labelled), f"{len(others)} others": slice(labelled, None)}
    groups["all"] = slice(None)
    fp32 = outputs(network.model, network)
    module = import_model(network.model, tuple(torch.from_numpy(array[:1]) for array in network.inputs))

    table = Table("W/A/ws/as", "layers fitted", *groups, title="decisions as in fp32, % (SQNR, dB)")
    for formats in AIMS:
        same = {}
        for settings, how in ((ALONE, "alone"), ("", "one after the other")):
            row = Row(formats, settings=settings)
            quantized = tvm_vsq.fake_quantize(
                module, target=row.hardware, quant=row.config, calibration=network.calibration[0]
            ).eval()
            found = outputs(quantized, network)
            same[how] = found.argmax(1) == fp32.argmax(1)
            parts = [(same[how][group], found[group], fp32[group]) for group in groups.values()]
            table.add_row(formats, how, *(f"{100 * s.mean():.1f} ({sqnr_db(y, x):.1f})" for s, y, x in parts))
        gain = same["one after the other"] * 100.0 - same["alone"] * 100.0
        table.add_row("", "difference", "", "", f"{gain.mean():+.1f} ± {gain.std() / np.sqrt(len(gain)):.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
