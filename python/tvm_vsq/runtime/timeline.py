"""The time axis of an inference, and its form as a Chrome trace, which ui.perfetto.dev opens."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.hardware import HardwareConfig, Technology, event_energy_pj
from tvm_vsq.hardware.engines import ENGINES
from tvm_vsq.hardware.events import EVENTS
from tvm_vsq.hardware.memories import SCRATCHPADS
from tvm_vsq.isa import INSTRUCTIONS, memories, opcodes
from tvm_vsq.runtime import native

_TIMES = ("queued", "taken", "start", "transfer", "end", "complete")
_ENGINES = tuple(engine.name for engine in ENGINES)
_PATH_TRACK = len(_ENGINES)
_ENGINE_OF_OPCODE = {spec.opcode: _ENGINES.index(spec.engine) for spec in INSTRUCTIONS}


@dataclass(frozen=True)
class ProgramTrace:
    """One run of one program.

    `times` int64 [instruction, 6] (queued, taken, start, transfer, end, complete; cycles), `path` int64
    [step, 4] (instruction, step, begin, end), `bins` int64 [bin, event] with the events of `bin_cycles`
    cycles each, `dram_bytes` int64 [bin] what the channel moved, `alive` int64 [bin, scratchpad] the entries
    in use, summed over the bin's cycles, `opcodes` and `layers` int64 [instruction], `memories` str
    [instruction], what LOAD fills and STORE reads.
    """

    cycles: int
    times: npt.NDArray[np.int64]
    path: npt.NDArray[np.int64]
    bin_cycles: int
    bins: npt.NDArray[np.int64]
    dram_bytes: npt.NDArray[np.int64]
    alive: npt.NDArray[np.int64]
    opcodes: npt.NDArray[np.int64]
    layers: npt.NDArray[np.int64]
    memories: npt.NDArray[np.str_]
    layer_names: tuple[str, ...]

    @staticmethod
    def read(accelerator: Any, program: Any, max_bins: int) -> ProgramTrace:
        """Trace a program (a row of `get_programs`) of a module."""
        raw = accelerator["get_trace"](program["name"], max_bins)

        def array(key: str, columns: int) -> npt.NDArray[np.int64]:
            return np.frombuffer(bytes(raw[key]), np.int64).reshape(-1, columns)

        return ProgramTrace(
            int(raw["cycles"]),
            array("times", len(_TIMES)),
            array("path", 4),
            int(raw["bin_cycles"]),
            array("bins", len(EVENTS)),
            array("dram_bytes", 1)[:, 0],
            array("alive", len(SCRATCHPADS)),
            opcodes(bytes(program["instructions"])),
            np.array([int(layer) for layer in program["layers"]], np.int64),
            memories(bytes(program["instructions"])),
            tuple(str(name) for name in program["layer_names"]),
        )

    @cached_property
    def engines(self) -> npt.NDArray[np.int64]:
        """The engine of each instruction, as its place in ENGINES; int64 [instruction]."""
        return np.array([_ENGINE_OF_OPCODE[opcode] for opcode in self.opcodes.tolist()], np.int64)

    @cached_property
    def steps(self) -> npt.NDArray[np.str_]:
        """What each step of `path` is: the engine where one calculates, else of fetch or DRAM; str [step]."""
        names = native.timing_names()["steps"]
        kinds, engines = self.path[:, 1], self.engines[self.path[:, 0]]
        calculates = kinds == names.index("compute")
        return np.array([*names, *_ENGINES])[np.where(calculates, len(names) + engines, kinds)]

    def critical_data(self) -> list[dict[tuple[str, str], int]]:
        """Cycles that each layer has on the critical path, by kind of step and what it moves (`memories`)."""
        found: list[dict[tuple[str, str], int]] = [{} for _ in self.layer_names]
        instructions, cycles = self.path[:, 0], self.path[:, 3] - self.path[:, 2]
        moved = np.where(self.steps == "fetch", "", self.memories[instructions])
        steps = zip(self.layers[instructions], self.steps, moved, cycles.tolist(), strict=True)
        for layer, step, memory, taken in steps:
            key = str(step), str(memory)
            found[layer][key] = found[layer].get(key, 0) + taken
        return found

    def critical_cycles(self) -> list[dict[str, int]]:
        """Cycles that each layer has on the critical path, by kind of step."""
        found: list[dict[str, int]] = []
        for moves in self.critical_data():
            sums: dict[str, int] = {}
            for (step, _), cycles in moves.items():
                sums[step] = sums.get(step, 0) + cycles
            found.append(sums)
        return found


def trace_json(
    traces: Sequence[ProgramTrace], hardware: HardwareConfig, technology: Technology, max_slices: int
) -> str:
    """All programs, one after the other, as Chrome trace events (JSON).

    Tracks are the engines and the critical path; counters are DRAM bandwidth, power and what part of each
    scratchpad is in use. Neighbouring instructions of a layer share a slice where there are more than
    `max_slices` instructions.
    """
    total = sum(len(trace.times) for trace in traces)
    merge = max(1, -(-total // max_slices))
    events: list[dict[str, Any]] = [
        {
            "ph": "M",
            "pid": 0,
            "name": "process_name",
            "args": {"name": f"{hardware.label} {hardware.notation}"},
        }
    ]
    for track, name in enumerate((*_ENGINES, "critical path")):
        events.append({"ph": "M", "pid": 0, "tid": track, "name": "thread_name", "args": {"name": name}})
    offset = 0
    for trace in traces:
        events += _shifted(_slices(trace, merge), offset, hardware.clock_mhz)
        events += _shifted(_path_slices(trace, merge), offset, hardware.clock_mhz)
        events += _shifted(_counters(trace, hardware, technology), offset, hardware.clock_mhz)
        offset += trace.cycles
    return json.dumps({"displayTimeUnit": "ns", "traceEvents": events}, separators=(",", ":"))


def _shifted(events: Iterator[dict[str, Any]], offset: int, clock_mhz: int) -> Iterator[dict[str, Any]]:
    """From cycles of a program to microseconds of the inference."""
    for event in events:
        event["ts"] = (event["ts"] + offset) / clock_mhz
        if "dur" in event:
            event["dur"] = event["dur"] / clock_mhz
        yield event


def _runs(layers: npt.NDArray[np.int64], merge: int) -> list[tuple[int, int]]:
    """(first, end) of neighbours that share a slice: at most `merge`, all of one layer."""
    if not len(layers):
        return []
    edges = [0, *(np.flatnonzero(np.diff(layers)) + 1).tolist(), len(layers)]
    return [(at, min(at + merge, end)) for first, end in pairwise(edges) for at in range(first, end, merge)]


def _slices(trace: ProgramTrace, merge: int) -> Iterator[dict[str, Any]]:
    names = {spec.opcode: spec.name for spec in INSTRUCTIONS}
    for track in range(len(_ENGINES)):
        own = np.flatnonzero(trace.engines == track)
        for first, end in _runs(trace.layers[own], merge):
            index, last = int(own[first]), int(own[end - 1])
            begin, until = int(trace.times[index, 2]), int(trace.times[last, 4])
            name = f"{trace.layer_names[trace.layers[index]]}: "
            if end - first == 1:
                name += names[int(trace.opcodes[index])]
                args: dict[str, Any] = {"instruction": index, "waited": begin - int(trace.times[index, 1])}
            else:
                name += f"{end - first} instructions"
                args = {"first": index, "last": last}
            yield {
                "ph": "X",
                "pid": 0,
                "tid": track,
                "name": name,
                "ts": begin,
                "dur": until - begin,
                "args": args,
            }


def _path_slices(trace: ProgramTrace, merge: int) -> Iterator[dict[str, Any]]:
    layers = trace.layers[trace.path[:, 0]]
    for first, end in _runs(layers, merge):
        index, begin = int(trace.path[first, 0]), int(trace.path[first, 2])
        until = int(trace.path[end - 1, 3])
        what = trace.steps[first] if end - first == 1 else f"{end - first} steps"
        name = f"{trace.layer_names[layers[first]]}: {what}"
        yield {
            "ph": "X",
            "pid": 0,
            "tid": _PATH_TRACK,
            "name": name,
            "ts": begin,
            "dur": until - begin,
            "args": {"instruction": index},
        }


def _counters(
    trace: ProgramTrace, hardware: HardwareConfig, technology: Technology
) -> Iterator[dict[str, Any]]:
    costs = event_energy_pj(hardware, technology)
    picojoules = trace.bins @ np.array([costs[event] for event in EVENTS])
    depths = np.array([hardware.depths[pad] for pad in SCRATCHPADS])
    for bin_index, (energy, dram, alive) in enumerate(
        zip(picojoules, trace.dram_bytes, trace.alive, strict=True)
    ):
        at = bin_index * trace.bin_cycles
        cycles = min(trace.bin_cycles, trace.cycles - at)
        if cycles <= 0:
            break
        # pJ per cycle times MHz is microwatt.
        values = {
            "DRAM bandwidth, bytes/cycle": float(dram) / cycles,
            "power, mW": float(energy) / cycles * hardware.clock_mhz / 1e3,
        }
        shares = alive / cycles / depths
        values |= {f"{pad} in use, %": 100 * share for pad, share in zip(SCRATCHPADS, shares, strict=True)}
        for name, value in values.items():
            yield {"ph": "C", "pid": 0, "name": name, "ts": at, "args": {"value": round(value, 4)}}
    yield {"ph": "C", "pid": 0, "name": "power, mW", "ts": trace.cycles, "args": {"value": 0.0}}
