"""Dependency tokens, derived from what the instructions read and write.

An instruction must follow the latest instruction of each neighbouring engine that touches the same
scratchpad entries. An edge is kept only if its producer is later than every producer already waited for on
that engine, so both ends of the edges of a queue ascend: tokens match in order, and an instruction gives and
takes at most one token per queue. All edges point forward in program order; with never more than a queue's
depth of them open at any place in it, executing in program order cannot block, hence no interleaving can
(bounded queues between sequential engines: if one order completes, all do).
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

from tvm_vsq.codegen.step import Interval, Step
from tvm_vsq.isa import Insn

Queue = tuple[str, str]
"""(producing engine, consuming engine)."""

QUEUES: tuple[Queue, ...] = (
    ("load", "compute"),
    ("compute", "load"),
    ("compute", "store"),
    ("store", "compute"),
)
_PUSH = {
    ("load", "compute"): "push_next",
    ("compute", "load"): "push_prev",
    ("compute", "store"): "push_next",
    ("store", "compute"): "push_prev",
}
_POP = {
    ("load", "compute"): "pop_prev",
    ("compute", "load"): "pop_next",
    ("compute", "store"): "pop_prev",
    ("store", "compute"): "pop_next",
}


@dataclass
class _Segments:
    """Scratchpad memories cut at every boundary that occurs, so that an interval is a range of segments."""

    bounds: dict[str, list[int]] = field(default_factory=dict)

    @staticmethod
    def of(steps: list[Step]) -> _Segments:
        edges: dict[str, set[int]] = {}
        for step in steps:
            for memory, first, end in (*step.reads, *step.writes):
                edges.setdefault(memory, set()).update((first, end))
        return _Segments({memory: sorted(found) for memory, found in edges.items()})

    def span(self, interval: Interval) -> range:
        memory, first, end = interval
        bounds = self.bounds[memory]
        return range(bisect_left(bounds, first), bisect_left(bounds, end))


class _Tracker:
    """Last producer per engine and segment, while the steps pass by in program order."""

    def __init__(self, steps: list[Step]) -> None:
        self._segments = _Segments.of(steps)
        self._spans: dict[Interval, range] = {}
        memories = self._segments.bounds
        self._touched = {
            engine: {memory: [-1] * len(bounds) for memory, bounds in memories.items()}
            for engine in ("load", "compute", "store")
        }
        self._stored: dict[str, list[int]] = {}
        for step in steps:
            if step.dram_write is not None:
                region, _, end = step.dram_write
                pixels = self._stored.setdefault(region, [])
                pixels.extend([-1] * (end - len(pixels)))

    def _span(self, interval: Interval) -> range:
        span = self._spans.get(interval)
        if span is None:
            span = self._spans[interval] = self._segments.span(interval)
        return span

    def latest(self, engine: str, intervals: tuple[Interval, ...]) -> int:
        """Index of the last step of `engine` that touched any of `intervals`, or -1."""
        found = -1
        for interval in intervals:
            touched = self._touched[engine][interval[0]]
            for segment in self._span(interval):
                found = max(found, touched[segment])
        return found

    def latest_store(self, pixels: Interval | None) -> int:
        """Index of the last STORE to any of `pixels`, or -1."""
        if pixels is None or pixels[0] not in self._stored:
            return -1
        return max(self._stored[pixels[0]][pixels[1] : pixels[2]], default=-1)

    def note(self, index: int, step: Step) -> None:
        for interval in (*step.reads, *step.writes):
            touched = self._touched[step.engine][interval[0]]
            for segment in self._span(interval):
                touched[segment] = index
        if step.dram_write is not None:
            region, first, end = step.dram_write
            self._stored[region][first:end] = [index] * (end - first)


@dataclass
class _Waits:
    """Edges kept so far, and what each engine has waited for."""

    edges: dict[Queue, list[tuple[int, int]]] = field(default_factory=lambda: {queue: [] for queue in QUEUES})

    def seen(self, queue: Queue) -> int:
        """Latest producer that the consumer of `queue` has waited for."""
        found = self.edges[queue]
        return found[-1][0] if found else -1

    def wait(self, queue: Queue, producer: int, consumer: int) -> None:
        """Make `consumer` follow `producer`, unless it does already."""
        if producer > self.seen(queue):
            self.edges[queue].append((producer, consumer))


_NEIGHBOURS = {"load": ("compute",), "compute": ("load", "store"), "store": ("compute",)}


def order_steps(steps: list[Step], queue_depth: int) -> list[Step]:
    """`steps` with SYNC where a LOAD reads what was stored, a FINISH at the end, and all tokens set.

    At most `queue_depth` tokens of a queue are ever open in program order.
    """
    tracker, waits = _Tracker(steps), _Waits()
    ordered: list[Step] = []
    # Compute steps that waited for a STORE, and which: ascending in both.
    drained: list[int] = []
    drained_by: list[int] = []
    last_store = -1

    def compute_after_store(store: int, layer: int) -> int:
        """Index of a compute step that has waited for `store`, made if there is none."""
        position = bisect_left(drained, store)
        if position == len(drained):
            ordered.append(Step(Insn("SYNC"), "compute", layer))
            waits.wait(("store", "compute"), store, len(ordered) - 1)
            drained.append(store)
            drained_by.append(len(ordered) - 1)
        return drained_by[position]

    for step in steps:
        needs = {
            other: tracker.latest(other, (*step.reads, *step.writes)) for other in _NEIGHBOURS[step.engine]
        }
        if step.engine == "load":
            store = tracker.latest_store(step.dram_read)
            if store >= 0:
                needs["compute"] = max(needs["compute"], compute_after_store(store, step.layer))
        index = len(ordered)
        ordered.append(step)
        for other, producer in needs.items():
            waits.wait((other, step.engine), producer, index)
        if step.engine == "compute":
            store = waits.seen(("store", "compute"))
            if store > (drained[-1] if drained else -1):
                drained.append(store)
                drained_by.append(index)
        elif step.engine == "store":
            last_store = index
        tracker.note(index, step)

    ordered.append(Step(Insn("FINISH"), "compute", steps[-1].layer))
    waits.wait(("store", "compute"), last_store, len(ordered) - 1)
    for queue in QUEUES:
        for producer, consumer in _bounded(waits.edges[queue], queue_depth):
            ordered[producer].tokens.add(_PUSH[queue])
            ordered[consumer].tokens.add(_POP[queue])
    for step in ordered:
        step.insn.tokens = frozenset(step.tokens)
    return ordered


def _bounded(edges: list[tuple[int, int]], depth: int) -> list[tuple[int, int]]:
    """Join edges where more than `depth` would be open: the later producer, and the earlier consumer."""
    kept: list[tuple[int, int]] = []
    for producer, consumer in edges:
        if len(kept) >= depth and kept[-depth][1] > producer:
            kept[-1] = (producer, kept[-1][1])
        else:
            kept.append((producer, consumer))
    return kept
