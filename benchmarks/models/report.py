"""Tables of docs/models.md."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from case import ROUNDS, RUNS, THREADS
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from networks import SAMPLES
from padding import table as padding_table

from tvm_vsq.hardware import list_targets, load_hardware

MEGA = 1e6
_MOVED = ("DRAM, MB", "minimum, MB", "ratio")

Found = Mapping[str, Any]
"""What cases printed, by their names; a document of a part of them has tables of those alone."""


def write(found: Found, path: Path) -> None:
    """Fill in the document's template."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown
    )
    environment.globals.update(
        measured=lambda name: any(f"{case}/".startswith(f"{name}/") for case in found),
        accelerator=lambda network: accelerator(found, network),
        host=lambda network: host(found, network),
        notes=lambda network: notes(found, network),
        work=lambda network: work(found, network),
        layers=lambda network, target: layers(found, network, target),
        brought=lambda network: brought(found, network),
        padding=lambda: padding(found),
        samples=SAMPLES,
        runs=ROUNDS * RUNS,
        threads=THREADS,
        revision=_revision(),
    )
    path.write_text(environment.get_template("models.md.j2").render())


def _revision() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def _cases(found: Found, network: str) -> list[tuple[str, Any]]:
    """(target, what was found) of a network."""
    pairs = [(target, found.get(f"{network}/{target}")) for target in list_targets()]
    return [(target, case) for target, case in pairs if case is not None]


def work(found: Found, network: str) -> str:
    """Multiply-accumulates on the accelerator, and the cycles that they take the array by themselves."""
    for target, case in _cases(found, network):
        peak = load_hardware(target).macs_per_cycle
        return f"{case['macs']:,} multiply-accumulates, at {peak} a cycle {-(-case['macs'] // peak):,} cycles"
    return "not measured"


def accelerator(found: Found, network: str) -> str:
    """A row for each target, of the simulated machine."""
    header = [
        "target", "W/A/ws/as", "instructions", "cycles, default", "MAC util.", "cycles, tuned", "MAC util.",
        *_MOVED, "on chip, MB", "arena, MB", "energy, uJ",
    ]  # fmt: skip
    body = []
    for target, case in _cases(found, network):
        tuned = [f"{case['cycles']:,}", f"{case['utilization']:.1%}"] if case["tuned_layers"] else ["-", "-"]
        body.append(
            [
                target,
                case["notation"],
                f"{case['instructions']:,}",
                f"{case['default_cycles']:,}",
                f"{case['default_utilization']:.1%}",
                *tuned,
                *_moved(case),
                *(f"{case[key] / MEGA:.3f}" for key in ("on_chip_minimum_dram_bytes", "arena_bytes")),
                f"{case['energy_uj']:,.1f}",
            ]
        )
    return _table(header, body, words=2)


def _moved(case: Mapping[str, int]) -> list[str]:
    """DRAM traffic and its minimum, MB, and the one over the other."""
    moved, minimum = case["dram_bytes"], case["minimum_dram_bytes"]
    return [f"{moved / MEGA:.3f}", f"{minimum / MEGA:.3f}", f"{moved / minimum:.2f}"]


def host(found: Found, network: str) -> str:
    """A row for each target, of the machine that this was measured on."""
    header = [
        "target", "compile, s", "peak, MiB", "unfitted, s", "peak, MiB", "artifact, MB", "simulate, ms",
        "ONNX Runtime fp32, ms", "ratio",
    ]  # fmt: skip
    body = []
    for target, case in _cases(found, network):
        plain = found.get(f"{network}/{target}/unfitted")
        body.append(
            [
                target,
                *_compiling(case),
                *(["-", "-"] if plain is None else _compiling(plain)),
                f"{case['artifact_bytes'] / MEGA:.3f}",
                f"{case['simulate_ms']:.1f}",
                f"{case['fp32_ms']:.1f}",
                f"{case['simulate_ms'] / case['fp32_ms']:.2f}",
            ]
        )
    return _table(header, body)


def _compiling(case: Mapping[str, float]) -> list[str]:
    return [f"{case['compile_s']:.1f}", f"{case['peak_mib']:,.0f}"]


def notes(found: Found, network: str) -> str:
    """What profiles say beside their totals: a line for each target, or one where they agree."""
    said: dict[str, list[str]] = {}
    for target, case in _cases(found, network):
        for note in case["notes"]:
            said.setdefault(note, []).append(f"`{target}`")
    whole = len(_cases(found, network))
    lines = [f"* {'' if len(of) == whole else ', '.join(of) + ': '}{note}" for note, of in said.items()]
    return "\n".join(lines)


def layers(found: Found, network: str, target: str) -> str:
    """A row for each layer."""
    header = ["layer", "input > output (padded), kernel", "MACs", "cycles", "MAC util.", *_MOVED]
    case = found.get(f"{network}/{target}", {"layers": []})
    body = [
        [
            layer["name"],
            layer["shape"],
            f"{layer['macs']:,}",
            f"{layer['cycles']:,}",
            f"{layer['utilization']:.1%}",
            *_moved(layer),
        ]
        for layer in case["layers"]
    ]
    return _table(header, body, words=2)


def brought(found: Found, network: str) -> str:
    """A row for each change: cycles on each target, and over those of the row before."""
    pairs = [(target, found.get(f"{network}/{target}/brought")) for target in list_targets()]
    runs = [(target, steps) for target, steps in pairs if steps is not None]
    header = [
        "what is switched on, besides all above",
        *(cell for target, _ in runs for cell in (target, "change")),
    ]
    body = []
    for at, names in enumerate(zip(*([step["change"] for step in steps] for _, steps in runs), strict=True)):
        row = [names[0]]
        for _, steps in runs:
            row.append(f"{steps[at]['cycles']:,}")
            row.append("" if at == 0 else f"{steps[at]['cycles'] / steps[at - 1]['cycles'] - 1:+.1%}")
        body.append(row)
    return _table(header, body)


def padding(found: Found) -> str:
    """Cycles by vector size."""
    cycles: dict[str, list[int]] = {}
    for target in list_targets():
        cycles |= found.get(f"padding/{target}", {})
    return padding_table(cycles)


def _table(header: Sequence[str], body: Sequence[Sequence[str]], words: int = 1) -> str:
    """Markdown; columns behind the first `words` hold numbers."""
    rule = ["---" if at < words else "---:" for at in range(len(header))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *body))
