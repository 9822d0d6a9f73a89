"""What the accelerators count on each network; it goes to build/paper/profiles.json.

    python benchmarks/paper/profiles.py           # about 20 minutes; what is there stays

Events, cycles and busy cycles depend on shapes alone, so weights are random. P matters only by the width of
accumulators.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import torch
from machines import FORMATS, PRODUCT_BITS, SIZES, Key, accelerator
from published import POINTS
from torch import nn

import tvm_vsq
from tvm_vsq.hardware import HardwareConfig

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "simulator"))
from models import BertLinear
from resnet50 import ResNet50

RESULTS = Path(__file__).parents[2] / "build/paper/profiles.json"
TOKENS = 128
NETWORKS = ("ResNet-50", "BERT-base", "BERT-large")


@dataclass(frozen=True)
class Counts:
    """Of an inference: events and busy cycles of engines by name."""

    events: Mapping[str, int]
    cycles: int
    busy: Mapping[str, int]
    macs: int


@lru_cache(maxsize=1)
def network(name: str) -> tuple[nn.Module, torch.Tensor]:
    """A seeded model and its input: an image, or TOKENS tokens."""
    torch.manual_seed(0)
    if name == "ResNet-50":
        return ResNet50().eval(), torch.randn(1, 3, 224, 224)
    sizes = {"BERT-base": (768, 3072, 12), "BERT-large": (1024, 4096, 24)}[name]
    return BertLinear(*sizes).eval(), torch.randn(TOKENS, sizes[0])


def count(name: str, hardware: HardwareConfig) -> Counts:
    """An inference, timed without computing its values."""
    model, x = network(name)
    quant = tvm_vsq.QuantConfig.of_hardware(hardware).unfitted()
    options = {"calibration": x.numpy(), "example_inputs": (x,), "quant": quant, "strict": True}
    layers = tvm_vsq.compile(model, hardware, **options).timing().layers
    events, busy = Counter[str](), Counter[str]()
    for layer in layers:
        events.update(layer.events)
        busy.update(layer.busy)
    cycles = sum(layer.cycles for layer in layers)
    return Counts(dict(events), cycles, dict(busy), sum(layer.macs for layer in layers))


def identity(name: str, hardware: HardwareConfig) -> str:
    """Of what counts depend on."""
    text = json.dumps([name, TOKENS, hardware.model_dump(exclude={"scale_product_bits"})])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def counted() -> dict[str, Counts]:
    """What is there, by `identity`."""
    if not RESULTS.is_file():
        return {}
    return {key: Counts(**record) for key, record in json.loads(RESULTS.read_text()).items()}


def wanted() -> list[tuple[str, Key]]:
    """All formats, vector sizes and networks; P on the first; at V = 16 what the paper's figures show."""
    found: list[tuple[str, Key]]
    found = [(name, (n, size, None)) for name in NETWORKS for size in SIZES for n in FORMATS]
    found += [(NETWORKS[0], (n, size, p)) for n, kept in PRODUCT_BITS.items() for p in kept for size in SIZES]
    found += [(point.network, (point.notation, 16, None)) for point in POINTS if point.network]
    return list(dict.fromkeys(sorted(found, key=lambda each: NETWORKS.index(each[0]))))


def main() -> None:
    results = counted()
    for name, key in wanted():
        hardware = accelerator(key, name)
        own = identity(name, hardware)
        if own in results:
            continue
        start = time.monotonic()
        found = results[own] = count(name, hardware)
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps({k: asdict(c) for k, c in results.items()}, indent=1))
        seconds = time.monotonic() - start
        print(f"{name} {key[0]} V = {key[1]}: {found.cycles:,} cycles, {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
