"""The time axis as a Chrome trace (JSON), which ui.perfetto.dev opens."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.hardware import HardwareConfig, Technology, event_energy_pj
from tvm_vsq.hardware.engines import ENGINES
from tvm_vsq.hardware.events import EVENTS
from tvm_vsq.hardware.memories import SCRATCHPADS
from tvm_vsq.isa import INSTRUCTIONS, UNITS
from tvm_vsq.runtime.timeline import ProgramTrace

_TRACKS = (*UNITS, "critical path")
_NAMES = {spec.opcode: spec.name for spec in INSTRUCTIONS}
_DIGITS = 4  # of microseconds, and those that count of a counter


@dataclass(frozen=True)
class _Step:
    """Something with a place on a track; `waited` are the cycles before it in which tokens were missing."""

    layer: int
    name: str
    instruction: int
    begin: int
    end: int
    waited: int | None = None
    memory: str = ""
    moved_bytes: int = 0


def trace_json(
    traces: Sequence[ProgramTrace], hardware: HardwareConfig, technology: Technology, max_slices: int
) -> str:
    """All programs, one after the other, as Chrome trace events (JSON).

    Tracks are the units and the critical path; counters are DRAM bandwidth, power and what part of each
    scratchpad is in use. Neighbouring steps of a layer share a slice, as many as it takes for `max_slices`.
    """
    tracks = [_tracks(trace, hardware) for trace in traces]
    merge = _merged_steps(tracks, max_slices)
    events: list[dict[str, Any]] = [_named("process_name", 0, f"{hardware.label} {hardware.notation}")]
    events += [_named("thread_name", number, name) for number, name in enumerate(_TRACKS)]
    offset = 0
    for trace, own in zip(traces, tracks, strict=True):
        for number, steps in enumerate(own):
            events += _shifted(_slices(trace, number, steps, merge), offset, hardware.clock_mhz)
        events += _shifted(_counters(trace, hardware, technology), offset, hardware.clock_mhz)
        offset += trace.cycles
    return json.dumps({"displayTimeUnit": "ns", "traceEvents": events}, separators=(",", ":"))


def _named(kind: str, track: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "pid": 0, "tid": track, "name": kind, "args": {"name": name}}


def _shifted(events: Iterator[dict[str, Any]], offset: int, clock_mhz: int) -> Iterator[dict[str, Any]]:
    """From cycles of a program to microseconds of the inference."""
    for event in events:
        begin = event["ts"] + offset
        event["ts"] = round(begin / clock_mhz, _DIGITS)
        if "dur" in event:
            event["dur"] = round((begin + event["dur"]) / clock_mhz - event["ts"], _DIGITS)
        yield event


def _tracks(trace: ProgramTrace, hardware: HardwareConfig) -> list[list[_Step]]:
    """The steps of each of `_TRACKS`, in order of time."""
    engines = [_engine_steps(trace, engine) for engine in range(len(ENGINES))]
    return [_fetch_steps(trace, hardware.timing.fetch_cycles), *engines, _path_steps(trace)]


def _fetch_steps(trace: ProgramTrace, fetch_cycles: int) -> list[_Step]:
    """An instruction is handed out in the cycles before it is in the queue of its engine."""
    queued, layers = trace.times[:, 0].tolist(), trace.layers.tolist()
    names = [_NAMES[opcode] for opcode in trace.opcodes.tolist()]
    return [
        _Step(layer, name, index, end - fetch_cycles, end)
        for index, (layer, name, end) in enumerate(zip(layers, names, queued, strict=True))
    ]


def _engine_steps(trace: ProgramTrace, engine: int) -> list[_Step]:
    found = []
    for index in np.flatnonzero(trace.engines == engine).tolist():
        _, taken, start, _, end, _ = trace.times[index].tolist()
        name, memory = _NAMES[int(trace.opcodes[index])], str(trace.memories[index])
        moved = int(trace.moved_bytes[index])
        layer = int(trace.layers[index])
        found.append(_Step(layer, name, index, start, end, start - taken, memory, moved))
    return found


def _path_steps(trace: ProgramTrace) -> list[_Step]:
    layers = trace.layers[trace.path[:, 0]].tolist()
    rows = zip(layers, trace.steps, trace.path.tolist(), strict=True)
    return [_Step(layer, str(name), step[0], step[2], step[3]) for layer, name, step in rows]


def _merged_steps(tracks: Sequence[Sequence[Sequence[_Step]]], max_slices: int) -> int:
    """How many steps may share a slice, so that there are at most so many; as few as that takes."""
    every = [steps for own in tracks for steps in own]
    longest = max((len(steps) for steps in every), default=1)
    merge = 1
    while merge < longest and sum(len(_runs(steps, merge)) for steps in every) > max_slices:
        merge *= 2
    return merge


def _runs(steps: Sequence[_Step], merge: int) -> list[tuple[int, int]]:
    """(first, end) of neighbours that share a slice: at most `merge`, all of one layer."""
    if not steps:
        return []
    changes = [at for at in range(1, len(steps)) if steps[at].layer != steps[at - 1].layer]
    edges = [0, *changes, len(steps)]
    return [(at, min(at + merge, end)) for first, end in pairwise(edges) for at in range(first, end, merge)]


def _slices(trace: ProgramTrace, track: int, steps: Sequence[_Step], merge: int) -> Iterator[dict[str, Any]]:
    for first, end in _runs(steps, merge):
        own = steps[first:end]
        what, args = (own[0].name, _details(own[0])) if len(own) == 1 else (f"{len(own)} steps", _sums(own))
        yield {
            "ph": "X",
            "pid": 0,
            "tid": track,
            "name": f"{trace.layer_names[own[0].layer]}: {what}",
            "ts": own[0].begin,
            "dur": own[-1].end - own[0].begin,
            "args": args,
        }


def _details(step: _Step) -> dict[str, Any]:
    args: dict[str, Any] = {"instruction": step.instruction}
    if step.waited is not None:
        args["waited"] = step.waited
    if step.memory:
        args |= {"scratchpad": step.memory, "bytes": step.moved_bytes}
    return args


def _sums(steps: Sequence[_Step]) -> dict[str, Any]:
    """Of steps that share a slice: which instructions, and what all of them move."""
    args: dict[str, Any] = {"first": steps[0].instruction, "last": steps[-1].instruction}
    if pads := sorted({step.memory for step in steps if step.memory}):
        args |= {"scratchpad": ", ".join(pads), "bytes": sum(step.moved_bytes for step in steps)}
    return args


def _counters(
    trace: ProgramTrace, hardware: HardwareConfig, technology: Technology
) -> Iterator[dict[str, Any]]:
    """Of each counter the bins in which it changes, and an end at zero."""
    costs = event_energy_pj(hardware, technology)
    begins = np.arange(len(trace.bins)) * trace.bin_cycles
    begins = begins[begins < trace.cycles]
    cycles = np.minimum(trace.bin_cycles, trace.cycles - begins)
    picojoules = (trace.bins @ np.array([costs[event] for event in EVENTS]))[: len(begins)]
    depths = np.array([hardware.depths[pad] for pad in SCRATCHPADS])
    shares = trace.alive[: len(begins)] / cycles[:, None] / depths
    counters = {
        "DRAM bandwidth, bytes/cycle": trace.dram_bytes[: len(begins)] / cycles,
        # pJ per cycle times MHz is microwatt
        "power, mW": picojoules / cycles * hardware.clock_mhz / 1e3,
        **{f"{pad} in use, %": 100 * shares[:, column] for column, pad in enumerate(SCRATCHPADS)},
    }
    for name, values in counters.items():
        for at, value in _changes(begins, values, trace.cycles):
            yield {"ph": "C", "pid": 0, "name": name, "ts": at, "args": {"value": value}}


def _changes(
    begins: npt.NDArray[np.int64], values: npt.NDArray[np.float64], end: int
) -> Iterator[tuple[int, float]]:
    before = None
    for at, value in zip([*begins.tolist(), end], [*values.tolist(), 0.0], strict=True):
        shown = float(f"{value:.{_DIGITS}g}")
        if shown != before:
            yield at, shown
        before = shown
