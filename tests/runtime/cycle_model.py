"""The timing of docs/simulator.md, written a second time and stepped cycle by cycle: slow, and obvious.

Every unit is a generator that yields the condition it waits for. In each cycle all of them are advanced until
none can go on; then the clock ticks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tvm_vsq import isa
from tvm_vsq.hardware import HardwareConfig

Condition = Callable[[], bool]
Process = Iterator[Condition]

ORDER = ("load", "compute", "vector", "ppu", "store")
ENGINE = {
    "DWCONV": "compute",
    "LOAD": "load",
    "GEMM": "compute",
    "SYNC": "compute",
    "VEC": "vector",
    "REDUCE": "vector",
    "PPU": "ppu",
    "STORE": "store",
    "FINISH": "store",
}
WORD_BYTES = 32


def engine_of(insn: isa.Insn) -> str:
    return ENGINE[insn.name]


def pushes(insn: isa.Insn) -> list[tuple[str, str]]:
    """(from, to) of each token that the instruction pushes."""
    return [(engine_of(insn), engine) for engine in ORDER if f"push_{engine}" in insn.tokens]


def pops(insn: isa.Insn) -> list[tuple[str, str]]:
    """(from, to) of each token that it pops."""
    return [(engine, engine_of(insn)) for engine in ORDER if f"pop_{engine}" in insn.tokens]


def joined(runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """One run if all of them touch, else the runs as they are."""
    if all(a[1] + 1 == b[0] for a, b in pairwise(runs)):
        return [(runs[0][0], runs[-1][1])]
    return runs


def pieces(insn: isa.Insn, hw: HardwareConfig) -> list[tuple[int, int]]:
    """First and last byte of each contiguous piece in DRAM: entries, then columns, then rows that touch."""
    f = {"x_stride": 0, "y_stride": 0, **insn.fields}
    names = isa.LOAD_MEMORIES if insn.name == "LOAD" else isa.STORE_MEMORIES
    record = hw.record_bytes[names[f["mem"]]]
    if f.get("gather") or f.get("second"):
        second = hw.formats.second
        record = -(-(second.bits * hw.vector_size + (second.scale_bits or 0)) // 8)
    if f.get("gather"):
        # A run for each group and lane, however they lie.
        starts = [
            f["dram_base"] + (y * f["y_stride"] + x * f["x_stride"] + lane * f.get("lane_stride", 0)) * record
            for y in range(f["y_size"])
            for x in range(f["x_size"])
            for lane in range(f["lanes"])
        ]
        return [(start, start + f["z_size"] * record - 1) for start in starts]
    rows = []
    for y in range(f["y_size"]):
        starts = [
            f["dram_base"] + (y * f["y_stride"] + x * f["x_stride"]) * record for x in range(f["x_size"])
        ]
        if starts:
            rows.append(joined([(start, start + f["z_size"] * record - 1) for start in starts]))
    if rows and all(len(row) == 1 for row in rows):
        return joined([row[0] for row in rows])
    return [run for row in rows for run in row]


def window_places(insn: isa.Insn, hw: HardwareConfig) -> int:
    """Walk windows over a tile, band by band of output rows, and count the places that are new."""
    f = {"inp_out": 0, "inp_in": 0, "row_step": 0, "column_step": 0, **insn.fields}
    rows, columns = f["tap_rows"], f["tap_columns"]

    def moves(loop: int, step: int, taps: int) -> int:
        return loop // step if step and loop % step == 0 and loop // step < taps else taps

    down, across = moves(f["inp_out"], f["row_step"], rows), moves(f["inp_in"], f["column_step"], columns)
    places, row = 0, 0
    while row < f["iter_out"]:
        high = 1  # output rows whose input rows the registers hold together
        while down and row + high < f["iter_out"] and (high * down + rows) * columns <= hw.window_taps:
            high += 1
        held: set[tuple[int, int]] = set()
        for column in range(f["iter_in"]):
            wanted = {
                (y * down + r, column * across + c)
                for y in range(high)
                for r in range(rows)
                for c in range(columns)
            }
            places += len(wanted - held)
            held = wanted
        row += high
    return f["uop_count"] * places


def window_passes(insn: isa.Insn, hw: HardwareConfig) -> int:
    """Passes of the array: vector_size slices of inputs at a time, of the taps of one vector of weights."""
    f = {"skip_blocks": 0, "row_vectors": 0, **insn.fields}
    width = hw.activation_bits + (hw.activation_scale_bits or 0)
    slices = -(-width // hw.activation_bits)
    taps = f["tap_rows"] * f["tap_columns"]
    runs = f["tap_rows"] if f["row_vectors"] else 1
    vectors = [taps // runs - at for at in range(0, taps // runs, hw.vector_size)]
    passes = runs * sum(-(-min(left, hw.vector_size) * slices // hw.vector_size) for left in vectors)
    blocks = max(1, hw.vector_size // hw.output_lanes) - f["skip_blocks"]
    return f["uop_count"] * f["iter_out"] * f["iter_in"] * blocks * passes


@dataclass
class Model:
    """Runs `insns`; afterwards `cycles`, `completed` (per instruction) and `busy` (per unit) are set."""

    insns: Sequence[isa.Insn]
    hw: HardwareConfig
    now: int = 0
    cycles: int = 0
    completed: dict[int, int] = field(default_factory=dict)
    busy: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("fetch", *ORDER), 0))
    tokens: dict[tuple[str, str], int] = field(default_factory=dict)
    handed_out: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ORDER, 0))
    taken: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ORDER, 0))
    executed: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: {e: [] for e in ORDER})
    waiting: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("fetch", "load", "store"), 0))
    serving: tuple[str, int] | None = None  # port, end of its burst
    last: str = "store"
    arrived: int = 0
    fetched: int = 0

    def run(self) -> Model:
        latency = self.hw.dram.latency_cycles
        processes = [self.prefetch(latency), self.fetch()]
        for engine in ORDER:
            processes += [self.engine(engine), self.completion(engine)]
        conditions: list[Condition | None] = [next(p, None) for p in processes]
        while any(conditions):
            assert self.now < 1_000_000, "the program does not end"
            if self.serving and self.serving[1] == self.now:
                self.waiting[self.serving[0]] -= 1
                self.serving = None
            moved = True
            while moved:
                moved = False
                for index, condition in enumerate(conditions):
                    if condition is not None and condition():
                        conditions[index] = next(processes[index], None)
                        moved = True
            self.serve()
            self.now += 1
        return self

    def serve(self) -> None:
        """Begin a burst, if none is under way, for the next port after the one served last."""
        if self.serving:
            return
        ports = ("fetch", "load", "store")
        first = ports.index(self.last) + 1
        for port in (ports + ports)[first : first + 3]:
            if self.waiting[port]:
                dram = self.hw.dram
                self.serving = (port, self.now + -(-dram.burst_bytes // dram.bytes_per_cycle))
                self.last = port
                return

    def after(self, cycles: int) -> Condition:
        end = self.now + cycles
        return lambda: self.now >= end

    def prefetch(self, latency: int) -> Process:
        burst = self.hw.dram.burst_bytes
        per_chunk = max(1, burst // WORD_BYTES)
        under_way: list[int] = []
        depth = self.hw.timing.fetch_buffer_bursts

        def poll() -> None:
            while under_way and under_way[0] <= self.now:
                self.arrived += per_chunk
                under_way.pop(0)

        for chunk in range(-(-len(self.insns) // per_chunk)):
            yield lambda c=chunk: poll() or c - self.fetched // per_chunk < depth  # type: ignore[misc]
            self.waiting["fetch"] = -(-WORD_BYTES * per_chunk // burst)
            yield lambda: poll() or self.waiting["fetch"] == 0  # type: ignore[func-returns-value]
            under_way.append(self.now + latency)
        yield lambda: poll() or not under_way  # type: ignore[func-returns-value]

    def fetch(self) -> Process:
        timing = self.hw.timing
        for index, insn in enumerate(self.insns):
            engine = engine_of(insn)
            yield lambda i=index: self.arrived > i  # type: ignore[misc]
            yield self.after(timing.fetch_cycles)
            self.busy["fetch"] += timing.fetch_cycles
            yield lambda e=engine: self.handed_out[e] - self.taken[e] < timing.command_queue_depth  # type: ignore[misc]
            self.handed_out[engine] += 1
            self.fetched += 1

    def held_back(self, engine: str) -> bool:
        """Whether a finished instruction cannot push its tokens."""
        due = self.executed[engine]
        if not due or due[0][0] > self.now:
            return False
        depth = self.hw.timing.token_queue_depth
        return any(self.tokens.get(q, 0) >= depth for q in pushes(self.insns[due[0][1]]))

    def completion(self, engine: str) -> Process:
        for index, insn in enumerate(self.insns):
            if engine_of(insn) != engine:
                continue
            yield lambda i=index: (  # type: ignore[misc]
                bool(self.executed[engine])
                and self.executed[engine][0][1] == i
                and self.executed[engine][0][0] <= self.now
                and not self.held_back(engine)
            )
            for queue in pushes(insn):
                self.tokens[queue] = self.tokens.get(queue, 0) + 1
            self.executed[engine].pop(0)
            self.completed[index] = self.cycles = self.now

    def engine(self, engine: str) -> Process:
        for index, insn in enumerate(self.insns):
            if engine_of(insn) != engine:
                continue
            yield lambda: self.handed_out[engine] > self.taken[engine] and not self.held_back(engine)
            self.taken[engine] += 1
            wanted = pops(insn)
            yield lambda p=wanted: all(self.tokens.get(q, 0) > 0 for q in p)  # type: ignore[misc]
            for queue in wanted:
                self.tokens[queue] -= 1
            if insn.name not in ("LOAD", "STORE"):
                work, conflicts = self.compute_cycles(insn)
                self.busy[engine] += work
                yield self.after(work + conflicts)
                self.executed[engine].append((self.now, index))
            else:
                yield from self.transfer(engine, insn)
                self.executed[engine].append((self.now + self.hw.dram.latency_cycles, index))

    def transfer(self, engine: str, insn: isa.Insn) -> Process:
        dram, f = self.hw.dram, insn.fields
        runs = pieces(insn, self.hw)
        bursts = sum(last // dram.burst_bytes - first // dram.burst_bytes + 1 for first, last in runs)
        starts = [first // dram.row_bytes for first, _ in runs]
        ends = [last // dram.row_bytes for _, last in runs]
        opened = sum(1 for s, e in zip(starts, [-9, *ends], strict=False) if s not in (e, e + 1))
        setup = self.hw.timing.dma_setup_cycles
        yield self.after(setup + opened * dram.row_miss_cycles)
        rows = f["y_size"] + f.get("y_pad_top", 0) + f.get("y_pad_bottom", 0)
        columns = f["x_size"] + f.get("x_pad_left", 0) + f.get("x_pad_right", 0)
        names = isa.LOAD_MEMORIES if insn.name == "LOAD" else isa.STORE_MEMORIES
        banks = getattr(self.hw.scratchpads.banks, names[f["mem"]])
        ports = self.after(-(-rows * columns * f["z_size"] // banks))
        self.waiting[engine] = bursts
        yield lambda: self.waiting[engine] == 0
        self.busy[engine] += setup + bursts * -(-dram.burst_bytes // dram.bytes_per_cycle)
        yield ports

    def compute_cycles(self, insn: isa.Insn) -> tuple[int, int]:
        f, timing = insn.fields, self.hw.timing
        size, lanes, banks = self.hw.vector_size, self.hw.output_lanes, self.hw.scratchpads.banks
        vectors = max(1, lanes // size)
        if insn.name == "GEMM":
            return timing.gemm_pipeline_cycles + f["uop_count"] * f["iter_out"] * f["iter_in"], 0
        if insn.name == "DWCONV":
            places, passes = window_places(insn, self.hw), window_passes(insn, self.hw)
            turns, pipeline = -(-vectors // banks.inp), timing.gemm_pipeline_cycles
            work = max(places, passes)
            return pipeline + work, max(places * turns, passes) - work
        if insn.name == "VEC":
            groups = f["uop_count"] * f["iter_out"] * f["iter_in"]
            blocks = max(1, size // lanes) - f.get("skip_blocks", 0)
            reads = f.get("src", 0) == isa.code_of("VEC", "src", "inp")
            entries = vectors * (f.get("digits", 0) + 1)
            turns = max(blocks, -(-entries // banks.inp)) if reads else blocks
            if f.get("src", 0) == isa.code_of("VEC", "src", "acc"):
                return timing.vector_pipeline_cycles + groups * blocks, groups * blocks  # two reads at a port
            return timing.vector_pipeline_cycles + groups * blocks, groups * (turns - blocks)
        if insn.name == "REDUCE":
            cycles = [max(f["iter_in"], size // lanes)] * (f["uop_count"] * f["iter_out"])
            return timing.row_pipeline_cycles + sum(cycles), 0
        if insn.name == "PPU":
            blocks = f["pixels"] * f["blocks"]
            together = max(1, size // lanes)  # blocks of a vector
            need = [together]
            if f.get("residual"):
                need.append(-(-vectors * (f.get("res_digits", 0) + 1) // banks.inp))
            if not f.get("wide"):
                need.append(-(-vectors * (f.get("digits", 0) + 1) // banks.out))
            more = max(need) - together
            if f.get("transpose"):
                whole = -(-f["pixels"] // size) * size * f["blocks"]  # with what the last group lacks
                return timing.ppu_pipeline_cycles + size + whole, whole // together * more
            return timing.ppu_pipeline_cycles + blocks, f["pixels"] * -(-f["blocks"] // together) * more
        return 1, 0
