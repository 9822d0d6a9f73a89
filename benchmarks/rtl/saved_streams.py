"""Operands of real layers, as `tvm_vsq.rtl.streams.save` writes them, and the simulator's results."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.hardware import HardwareConfig, load_hardware
from tvm_vsq.rtl import Block, blocks
from tvm_vsq.rtl.reference import Results

_SUFFIX = ".npz"


@dataclass(frozen=True, eq=False)
class Saved:
    """inputs: int64[transactions, numbers] of each port. simulated: outputs, and which of them are known."""

    network: str
    target: str
    layer: str
    hardware: HardwareConfig
    block: Block
    inputs: dict[str, npt.NDArray[np.int64]]
    simulated: Results

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    @property
    def kind(self) -> str:
        """What tells these operands from others of the block."""
        digest = hashlib.sha256(b"".join(numbers.tobytes() for numbers in self.inputs.values()))
        return f"{self.network} {self.layer} {digest.hexdigest()[:8]}"

    @property
    def start(self) -> int:
        """A transaction in the middle, as an image has borders; an accumulator does not go on with others."""
        middle = len(self) // 2
        fresh = self.inputs.get("fresh", np.ones((middle + 1, 1)))[: middle + 1]
        return int(np.flatnonzero(fresh)[-1])


def saved(folder: Path) -> list[Saved]:
    """Streams in `folder`, but ppu's; files are named <network>.<target>.<layer>.<block>.npz."""
    found = [_read(path) for path in sorted(folder.glob(f"*{_SUFFIX}"))]
    if not found:
        sys.exit(f"{folder}: no streams are there; benchmarks/rtl/streams.py --save writes them")
    return [stream for stream in found if stream.block.name != "ppu"]


def _read(path: Path) -> Saved:
    network, target, rest = path.name.removesuffix(_SUFFIX).split(".", 2)
    with np.load(path) as arrays:
        name = str(arrays["block"])
        groups: dict[str, dict[str, npt.NDArray[Any]]] = {"inputs": {}, "simulated": {}, "known": {}}
        for key in sorted(set(arrays) - {"block"}):
            group, port = key.split("/")
            groups[group][port] = arrays[key]
    hardware = load_hardware(target)
    results = {port: (numbers, groups["known"][port]) for port, numbers in groups["simulated"].items()}
    layer = rest.removesuffix(f".{name}")
    return Saved(network, target, layer, hardware, blocks(hardware)[name], groups["inputs"], results)
