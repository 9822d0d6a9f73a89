"""What is there before the first block of a page: files in its folder, and names for its Python.

A page names its setup in a mark, `<!-- setup: NAME -->`, and says in its text what its reader has to have.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.decoders import VOCABULARY, Decoder
from tests.documents import ROOT, Session, parts
from torch import nn

from tvm_vsq.runtime import native

_COPIED = ("python", "tvm_vsq", "rtl", "target_configs", "tests", "CMakeLists.txt", "pyproject.toml")


def empty(_session: Session) -> None:
    """Nothing."""


def repository(session: Session) -> None:
    """The root of the repository; what is written there stays in the folder."""
    for path in ROOT.iterdir():
        if path.name == ".ci" or not path.name.startswith((".", "build", "dist")):
            (session.folder / path.name).symlink_to(path)


def copy(session: Session) -> None:
    """A copy of the project's sources that may be changed, with the native library of the package."""
    for name in _COPIED:
        source, ignored = ROOT / name, shutil.ignore_patterns("__pycache__")
        if source.is_dir():
            shutil.copytree(source, session.folder / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(source, session.folder)
    (session.folder / ".venv").symlink_to(sys.prefix)
    session.environment["PYTHONPATH"] = str(session.folder / "python")
    session.environment[native.LIBRARY_VARIABLE] = str(native.library_path())


def rtl(session: Session) -> None:
    """The root of the repository, and a simulator of the RTL; the test is skipped without one."""
    if shutil.which("iverilog") is None:
        pytest.skip("needs a simulator: make rtl-tools")
    repository(session)


def network(session: Session) -> None:
    """A trained classifier of four kinds of images, with its data; as files, too: net.pt2, net.onnx and
    dynamic.onnx (of any number of images), samples.npy, labels.npy, x.npy.
    """
    labels = torch.arange(192) % 4
    images = torch.randn(192, 3, 8, 8) + labels[:, None, None, None]
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 4)
    ).eval()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(20):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    torch.export.save(torch.export.export(model, (images[:1],)), session.folder / "net.pt2")
    for file, axes in (("net", {}), ("dynamic", {"images": {0: "n"}})):
        path = session.folder / f"{file}.onnx"
        torch.onnx.export(model, (images[:1],), path, dynamo=False, input_names=["images"], dynamic_axes=axes)
    np.save(session.folder / "samples.npy", images[:64].numpy())
    np.save(session.folder / "x.npy", images[:1].numpy())
    np.save(session.folder / "labels.npy", labels[:64].numpy())
    session.names |= {"model": model, "images": images, "labels": labels, "samples": images[:64]}
    session.names |= {"x": images[:1], "test_images": images[:128]}


def bert(session: Session) -> None:
    """A BertConfig, batches of one sequence, and the first of them."""
    from transformers import BertConfig

    sizes = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 96}
    config = BertConfig(**sizes, vocab_size=50, max_position_embeddings=32)
    mask = torch.ones(1, 16, dtype=torch.int64)
    tokens = torch.randint(0, 50, (4, 1, 16))
    batches = [{"input_ids": each, "attention_mask": mask} for each in tokens]
    session.names |= {"config": config, "batches": batches, "batch": batches[0]}


def digits(session: Session) -> None:
    """The root of the repository, and what section 1 of the tutorial makes there."""
    repository(session)
    first = next(block for part in parts(Path("docs/tutorial.md")) for block in part.blocks)
    session.follow(first)


def decoder(session: Session) -> None:
    """A decoder with its cache (tests/decoders.py): prompts of 16 tokens, and the inputs of the next one."""
    length, hidden = 16, -1e9
    before = torch.full((length, length), hidden).triu(0)
    mask = torch.cat([before, torch.full((length, length), hidden).fill_diagonal_(0)], 1)[None, None]
    tokens = torch.randint(0, VOCABULARY, (4, 1, length))
    prompts = [(each, torch.arange(length), mask) for each in tokens]
    mask_of_next = torch.zeros(1, 1, 1, length + 1)
    cache = torch.rand(1, length, 64), torch.rand(1, 64, 16)
    next_token = (tokens[0, :, :1], torch.tensor([length - 1]), mask_of_next, *cache)
    session.names |= {"model": Decoder(apart=True).eval(), "prompts": prompts, "next_token": next_token}


SETUPS: dict[str, Callable[[Session], None]] = {
    each.__name__: each for each in (empty, repository, copy, rtl, network, bert, digits, decoder)
}
