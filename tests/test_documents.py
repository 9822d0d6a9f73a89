"""The code in the documents runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
import tvm
from torch import nn

import tvm_vsq

DOCS = Path(__file__).resolve().parents[1] / "docs"


def python_of(document):
    """The Python of a document, its blocks one after the other."""
    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / document).read_text(encoding="utf-8"), re.M | re.S)
    assert blocks
    return "\n".join(blocks)


def test_fine_tuning_at_3_bits_leads_to_cycles_energy_and_a_file(tmp_path, monkeypatch):
    torch.manual_seed(0)
    labels = torch.arange(192) % 4
    images = torch.randn(192, 3, 6, 6) + labels[:, None, None, None]
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(128, 4)).eval()
    names = {"torch": torch, "tvm": tvm, "tvm_vsq": tvm_vsq, "model": model, "images": images}
    names |= {"labels": labels, "test_images": images[:128]}
    monkeypatch.chdir(tmp_path)
    exec(python_of("qat.md"), names)
    module, exe = names["module"], names["exe"]
    assert exe.metadata.inputs[0].shape == (1, 3, 6, 6)
    assert (exe.hardware, exe.hardware.notation) == (module.hardware, "3/3/4/4")
    assert names["profile"].cycles == exe.timing().cycles > 0
    assert not torch.equal(module.layers.get_parameter("0.weight"), model[0].weight)
    np.testing.assert_array_equal(names["scores"], module(images[:128]))
