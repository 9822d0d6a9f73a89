"""What the accelerators count on each network; it goes to build/paper/profiles.json.

    python benchmarks/paper/profiles.py           # about an hour; what is there stays

Networks are whole: BERT's encoders from the first layer norm to the last, behind the embedding, which the
host looks up and nobody counts. Events, cycles and busy cycles depend on shapes alone, so weights are random.
P matters only by the width of accumulators.
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

import tvm_vsq
from tvm_vsq.hardware import HardwareConfig, energy_by_part, load_technology
from tvm_vsq.importing import import_checked
from tvm_vsq.tvm_compat import IRModule

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "simulator"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "encoders"))
from resnet50 import ResNet50
from shapes import NETWORKS as ENCODERS

RESULTS = Path(__file__).parents[2] / "build/paper/profiles.json"
TOKENS = 128
NETWORKS = ("ResNet-50", "BERT-base", "BERT-large")
SUMS_IN_VECTORS = "BERT-base, sums in vectors"
"""What is added to rows that are normalized is as wide as activations, whatever they lose by it."""
BERT = {"BERT-base": "base", "BERT-large": "large", SUMS_IN_VECTORS: "base"}
"""Names in benchmarks/encoders/shapes.py."""
TOLERANCE = 2e-3
TECHNOLOGY = "open-45nm"
COUNTED_WHOLE = (("BERT-base", ("4/4/4/4", 16, None)), ("BERT-large", ("4/8/6/10", 64, None)))


@dataclass(frozen=True)
class Counts:
    """Of an inference: events and busy cycles of engines by name."""

    events: Mapping[str, int]
    cycles: int
    busy: Mapping[str, int]
    macs: int

    def extended(self, longer: Counts, times: int) -> Counts:
        """These, and `times` what `longer` counts beyond them."""

        def more(mine: Mapping[str, int], its: Mapping[str, int]) -> dict[str, int]:
            return {name: number + times * (its[name] - number) for name, number in mine.items()}

        return Counts(
            more(self.events, longer.events),
            self.cycles + times * (longer.cycles - self.cycles),
            more(self.busy, longer.busy),
            self.macs + times * (longer.macs - self.macs),
        )


@lru_cache(maxsize=2)
def network(name: str, layers: int | None) -> tuple[IRModule, object]:
    """A seeded network, imported once for all machines, and its input.

    An image, or TOKENS tokens for encoders of so many layers (None: all).
    """
    torch.manual_seed(0)
    if name not in BERT:
        image = torch.randn(1, 3, 224, 224)
        return import_checked(ResNet50().eval(), (image,)), image
    tokens = {"input_ids": torch.randint(0, 1000, (1, TOKENS))}
    return import_checked(ENCODERS[BERT[name]].model(layers), tokens), tokens


def count_directly(name: str, hardware: HardwareConfig, layers: int | None = None) -> Counts:
    """An inference, timed without computing its values."""
    module, given = network(name, layers)
    residuals = "vectors" if name == SUMS_IN_VECTORS else "auto"
    quant = tvm_vsq.QuantConfig.of_hardware(hardware).unfitted().model_copy(update={"residuals": residuals})
    options = {"quant": quant, "calibration": [given], "strict": True, "schedules": "default"}
    profile = tvm_vsq.compile(module, hardware, **options).timing()
    events, busy = Counter[str](), Counter[str]()
    for layer in profile.layers:
        events.update(layer.events)
        busy.update(layer.busy)
    cycles = sum(layer.cycles for layer in profile.layers)
    return Counts(dict(events), cycles, dict(busy), sum(layer.macs for layer in profile.layers))


def count(name: str, hardware: HardwareConfig) -> Counts:
    """Of encoders, whose layers are alike, what the second one adds to the first is counted once for each.

    How near that is to all of them compiled, `check` finds: micro-ops are loaded anew where none fit.
    """
    if name not in BERT:
        return count_directly(name, hardware)
    one, two = (count_directly(name, hardware, layers) for layers in (1, 2))
    return one.extended(two, ENCODERS[BERT[name]].layers - 1)


def difference(found: Counts, other: Counts, hardware: HardwareConfig) -> float:
    """The larger of two shares: of cycles, and of energy, where that of each part differs."""
    table = load_technology(TECHNOLOGY)
    mine, its = (energy_by_part(c.events, hardware, table, c.cycles, c.busy) for c in (found, other))
    energy = sum(abs(mine[part] - its[part]) for part in mine) / sum(mine.values())
    return max(abs(found.cycles - other.cycles) / found.cycles, energy)


def check(name: str, key: Key, results: Mapping[str, Counts]) -> None:
    """That all layers compiled count what `count` says, within TOLERANCE."""
    hardware = accelerator(key, name)
    start = time.monotonic()
    off = difference(count_directly(name, hardware), results[identity(name, hardware)], hardware)
    said = f"{name} {key[0]} V = {key[1]}: all layers compiled differ by {off:.4%} from what is counted"
    if off > TOLERANCE:
        sys.exit(f"{said}, more than {TOLERANCE:.2%}")
    print(f"{said}, {time.monotonic() - start:.1f} s", flush=True)


def identity(name: str, hardware: HardwareConfig) -> str:
    """Of what counts depend on."""
    text = json.dumps([name, "whole", TOKENS, hardware.model_dump(exclude={"scale_product_bits"})])
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
    found += [(SUMS_IN_VECTORS, (n, 16, None)) for n in FORMATS]
    order = (*NETWORKS, SUMS_IN_VECTORS)
    return list(dict.fromkeys(sorted(found, key=lambda each: order.index(each[0]))))


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
    for name, key in COUNTED_WHOLE:
        check(name, key, results)


if __name__ == "__main__":
    main()
