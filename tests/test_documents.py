"""The code in the documents runs as it stands."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import tvm
from tests.documents import Copy, sections
from torch import nn

import tvm_vsq

NATIVE = ("An instruction", "A number format")
EXAMPLES = [
    *(
        pytest.param((part,), marks=[pytest.mark.large] * (part != "An energy table"))
        for part in sections("extending.md")
        if part and part not in NATIVE
    ),
    pytest.param(NATIVE, marks=pytest.mark.large),  # build the simulator
]
"""Parts of extending.md, by the copy of the project that they share."""


def python_of(document):
    """The Python of a document, its blocks one after the other."""
    found = [block for part in sections(document).values() for block in part if block.language == "python"]
    assert found
    return "\n".join(block.text for block in found)


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


@pytest.mark.parametrize("parts", EXAMPLES, ids="+".join)
def test_what_extending_md_adds_works_in_a_copy_of_the_project(parts, tmp_path):
    copy, blocks = Copy(tmp_path), sections("extending.md")
    for part in parts:
        for block in blocks[part]:
            copy.follow(block)
