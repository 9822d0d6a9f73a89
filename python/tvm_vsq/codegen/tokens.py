"""Dependency tokens, derived from what the instructions read and write.

An instruction must follow the latest instruction of every other engine that it conflicts with: on scratchpad
entries, or on bytes of tensors in DRAM, that one of the two writes. A wait is kept only if its
producer is later than every instruction of that engine that is known to be complete: because an earlier
instruction of the own engine waited for it, or for something that had. So both ends of the waits in a queue
ascend: tokens match in order, and an instruction gives and takes at most one token per queue. All waits point
forward in program order; with never more than a queue's depth of them open at any place in it, executing in
program order cannot block, hence no interleaving can (bounded queues between sequential engines: if one order
completes, all do).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from tvm_vsq.codegen.step import Interval, Step
from tvm_vsq.hardware.engines import ENGINES
from tvm_vsq.isa import ROUTES, Insn

_ENGINES = tuple(engine.name for engine in ENGINES)


@dataclass
class _Segments:
    """Memories cut at every boundary that occurs, so that an interval is a slice of segments."""

    bounds: dict[str, list[int]] = field(default_factory=dict)
    _spans: dict[Interval, slice] = field(default_factory=dict)

    @staticmethod
    def of(steps: list[Step]) -> _Segments:
        edges: dict[str, set[int]] = {}
        for step in steps:
            for memory, first, end in (*step.reads, *step.writes):
                edges.setdefault(memory, set()).update((first, end))
        return _Segments({memory: sorted(found) for memory, found in edges.items()})

    def span(self, interval: Interval) -> slice:
        span = self._spans.get(interval)
        if span is None:
            memory, first, end = interval
            bounds = self.bounds[memory]
            span = self._spans[interval] = slice(bisect_left(bounds, first), bisect_left(bounds, end))
        return span


_Touched = defaultdict[str, dict[str, list[int]]]
"""By memory and engine, the last step that touched each segment."""


class _Tracker:
    """The last step of each engine that wrote, or read, each segment, while the steps pass by in order."""

    def __init__(self, steps: list[Step]) -> None:
        self._segments = _Segments.of(steps)
        self._wrote: _Touched = defaultdict(dict)
        self._read: _Touched = defaultdict(dict)

    def needs(self, step: Step) -> Iterator[tuple[str, int]]:
        """(engine, its last step that `step` has to follow), where there is one, the own engine left out."""
        latest: dict[str, int] = {}
        for intervals, passed in (
            (step.reads, (self._wrote,)),
            (step.writes, (self._wrote, self._read)),
        ):
            for interval in intervals:
                span = self._segments.span(interval)
                for touched in passed:
                    for engine, segments in touched[interval[0]].items():
                        latest[engine] = max(latest.get(engine, -1), max(segments[span]))
        return ((engine, last) for engine, last in latest.items() if last >= 0 and engine != step.engine)

    def note(self, index: int, step: Step) -> None:
        for intervals, touched in ((step.reads, self._read), (step.writes, self._wrote)):
            for interval in intervals:
                span, memory = self._segments.span(interval), interval[0]
                if step.engine not in touched[memory]:
                    touched[memory][step.engine] = [-1] * len(self._segments.bounds[memory])
                touched[memory][step.engine][span] = [index] * (span.stop - span.start)


class _Waits:
    """The waits kept so far, and of which steps each engine knows that they are complete."""

    def __init__(self) -> None:
        self.edges: dict[tuple[str, str], list[tuple[int, int]]] = {
            (route.source, route.sink): [] for route in ROUTES
        }
        self._known = {engine: dict.fromkeys(_ENGINES, -1) for engine in _ENGINES}
        self._at: list[dict[str, int]] = []  # by step, what its engine knew when it started

    def start(self, step: Step, needs: Iterator[tuple[str, int]]) -> None:
        """Let the next step wait for what it needs, unless that is known to be complete."""
        index, known = len(self._at), self._known[step.engine]
        for engine, producer in sorted(needs, key=lambda need: -need[1]):
            if producer > known[engine]:
                self.edges[engine, step.engine].append((producer, index))
                known.update({e: max(known[e], before) for e, before in self._at[producer].items()})
                known[engine] = producer
        self._at.append(dict(known))
        known[step.engine] = index


def order_steps(steps: list[Step], queue_depth: int) -> list[Step]:
    """`steps` with a FINISH at the end, and all tokens set.

    At most `queue_depth` tokens of a queue are ever open in program order.
    """
    tracker, waits = _Tracker(steps), _Waits()
    ends: dict[str, int] = {}
    for index, step in enumerate(steps):
        waits.start(step, tracker.needs(step))
        tracker.note(index, step)
        ends[step.engine] = index
    finish = Step(Insn("FINISH"), steps[-1].layer)
    ordered = [*steps, finish]
    waits.start(finish, ((engine, end) for engine, end in ends.items() if engine != finish.engine))
    for route in ROUTES:
        for producer, consumer in _bounded(waits.edges[route.source, route.sink], queue_depth):
            ordered[producer].tokens.add(route.push)
            ordered[consumer].tokens.add(route.pop)
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
