"""Cycles, energy and traffic of one inference, per layer and in total."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tvm_vsq.hardware import HardwareConfig, Technology, layer_energy
from tvm_vsq.hardware.events import EVENTS
from tvm_vsq.runtime.metadata import LayerInfo

ENGINES = ("fetch", "load", "compute", "store")


@dataclass(frozen=True)
class LayerProfile:
    """One accelerator layer of one inference.

    `cycles` is the time from the completion of the layer before it to its own, so that layers add up to
    the total.
    `macs` are useful multiply-accumulates; `padded_macs` what the array did, with channels padded to whole
    vectors
    and blocks. `utilization` is macs / (cycles * multipliers). `energy_pj` sums `energy`, which is by kind
    of event.
    """

    name: str
    op: str
    shape: str
    macs: int
    padded_macs: int
    cycles: int
    utilization: float
    energy_pj: float
    energy: dict[str, float]
    dram_bytes: int
    instructions: int
    tuned: bool


@dataclass(frozen=True)
class Profile:
    """What one inference did on the accelerator. CPU operators take no part in cycles and energy."""

    target: str
    notation: str
    clock_mhz: int
    outputs: Any
    layers: tuple[LayerProfile, ...]
    engine_busy: dict[str, int]
    engine_stalled: dict[str, int]
    macs_per_cycle: int

    @property
    def cycles(self) -> int:
        """Clock cycles of all accelerator programs of the inference."""
        return sum(layer.cycles for layer in self.layers)

    @property
    def energy_pj(self) -> float:
        """Energy of all counted events, in picojoule."""
        return sum(layer.energy_pj for layer in self.layers)

    @property
    def dram_bytes(self) -> int:
        """Bytes moved between DRAM and chip, instructions included."""
        return sum(layer.dram_bytes for layer in self.layers)

    @property
    def macs(self) -> int:
        """Useful multiply-accumulates."""
        return sum(layer.macs for layer in self.layers)

    @property
    def utilization(self) -> float:
        """Useful multiply-accumulates over what the array could have done in these cycles."""
        return self.macs / (self.cycles * self.macs_per_cycle) if self.cycles else 0.0

    @property
    def milliseconds(self) -> float:
        """Simulated time at the configured clock."""
        return self.cycles / (self.clock_mhz * 1e3)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the outputs, as plain data."""
        return {
            "target": self.target,
            "notation": self.notation,
            "cycles": self.cycles,
            "milliseconds": self.milliseconds,
            "energy_pj": self.energy_pj,
            "macs": self.macs,
            "utilization": self.utilization,
            "dram_bytes": self.dram_bytes,
            "engine_busy_cycles": self.engine_busy,
            "engine_stalled_cycles": self.engine_stalled,
            "layers": [asdict(layer) for layer in self.layers],
        }

    def to_json(self) -> str:
        """`to_dict` as JSON text."""
        return json.dumps(self.to_dict(), indent=2)

    def to_html(self, path: str | Path) -> None:
        """Write the table of `print(profile)` as a page."""
        from rich.console import Console

        console = Console(record=True, width=140, file=io.StringIO())
        console.print(self._table())
        Path(path).write_text(console.export_html(inline_styles=True), encoding="utf-8")

    def __str__(self) -> str:
        from rich.console import Console

        console = Console(width=128, file=io.StringIO())
        console.print(self._table())
        return str(console.file.getvalue()).rstrip()  # type: ignore[attr-defined]

    def _table(self) -> Any:
        from rich.table import Table

        title = (
            f"{self.target} {self.notation}: {self.cycles:,} cycles ({self.milliseconds:.3f} ms at "
            f"{self.clock_mhz} MHz), "
            f"{self.energy_pj / 1e6:.2f} uJ, {self.utilization:.1%} MAC utilization, "
            f"{self.dram_bytes:,} DRAM bytes"
        )
        table = Table(title=title, title_justify="left")
        table.add_column("layer", overflow="fold")
        table.add_column("op")
        table.add_column("input > output, kernel", overflow="fold")
        for heading in ("MACs", "cycles", "share", "util.", "energy nJ", "DRAM B", "instr.", "knobs"):
            table.add_column(heading, justify="right", no_wrap=True)
        for layer in self.layers:
            table.add_row(
                layer.name,
                layer.op,
                layer.shape,
                f"{layer.macs:,}",
                f"{layer.cycles:,}",
                f"{layer.cycles / max(1, self.cycles):.1%}",
                f"{layer.utilization:.1%}",
                f"{layer.energy_pj / 1e3:,.1f}",
                f"{layer.dram_bytes:,}",
                f"{layer.instructions:,}",
                "tuned" if layer.tuned else "default",
            )
        return table


def build_profile(
    runs: Sequence[Mapping[str, Any]],
    layers: Sequence[LayerInfo],
    hardware: HardwareConfig,
    technology: Technology,
    outputs: Any,
) -> Profile:
    """Join the simulator's counters (`get_profile`) with the artifact's layers."""
    busy = dict.fromkeys(ENGINES, 0)
    stalled = dict.fromkeys(ENGINES, 0)
    rows = []
    for run in runs:
        infos = [layer for layer in layers if layer.program == str(run["name"])]
        for engine, (busy_cycles, stall_cycles) in zip(ENGINES, run["units"], strict=True):
            busy[engine] += int(busy_cycles)
            stalled[engine] += int(stall_cycles)
        previous = 0
        for info, end, counts in zip(infos, run["layer_end"], run["events"], strict=True):
            events = {name: int(count) for name, count in zip(EVENTS, counts, strict=True)}
            # Engines overlap layers: one that ends before its predecessor took no time of its own.
            cycles = max(0, int(end) - previous)
            previous = max(previous, int(end))
            rows.append(_layer_profile(info, cycles, events, hardware, technology))
    return Profile(
        hardware.name,
        hardware.notation,
        hardware.clock_mhz,
        outputs,
        tuple(rows),
        busy,
        stalled,
        hardware.macs_per_cycle,
    )


def _layer_profile(
    info: LayerInfo, cycles: int, events: dict[str, int], hardware: HardwareConfig, technology: Technology
) -> LayerProfile:
    energy = layer_energy(events, hardware, technology)
    return LayerProfile(
        name=info.name,
        op=info.op,
        shape=info.shape,
        macs=info.macs,
        padded_macs=events["macs"],
        cycles=cycles,
        utilization=info.macs / (cycles * hardware.macs_per_cycle) if cycles else 0.0,
        energy_pj=sum(energy.values()),
        energy=energy,
        dram_bytes=events["dram_read_bytes"] + events["dram_write_bytes"],
        instructions=events["instructions"],
        tuned=info.tuned,
    )
