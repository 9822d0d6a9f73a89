"""The time axis of an inference."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.hardware.engines import ENGINES
from tvm_vsq.hardware.events import EVENTS
from tvm_vsq.hardware.memories import SCRATCHPADS
from tvm_vsq.isa import INSTRUCTIONS, memories, opcodes, transfer_bytes
from tvm_vsq.runtime import native

_TIMES = ("queued", "taken", "start", "transfer", "end", "complete")
_ENGINES = tuple(engine.name for engine in ENGINES)
_ENGINE_OF_OPCODE = {spec.opcode: _ENGINES.index(spec.engine) for spec in INSTRUCTIONS}


@dataclass(frozen=True)
class ProgramTrace:
    """One run of one program.

    `times` int64 [instruction, 6] (queued, taken, start, transfer, end, complete; cycles), `path` int64
    [step, 4] (instruction, step, begin, end), `bins` int64 [bin, event] with the events of `bin_cycles`
    cycles each, `dram_bytes` int64 [bin] what the channel moved, `alive` int64 [bin, scratchpad] the entries
    in use, summed over the bin's cycles, `opcodes` and `layers` int64 [instruction], `memories` str
    [instruction], what LOAD fills and STORE reads, and `moved_bytes` int64 [instruction], how much of it.
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
    moved_bytes: npt.NDArray[np.int64]
    layer_names: tuple[str, ...]

    @staticmethod
    def read(accelerator: Any, program: Any, hardware: HardwareConfig, max_bins: int) -> ProgramTrace:
        """Trace a program (a row of `get_programs`) of a module."""
        words = bytes(program["instructions"])
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
            opcodes(words),
            np.array([int(layer) for layer in program["layers"]], np.int64),
            memories(words),
            transfer_bytes(words, hardware),
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
