"""Measures points: what several of them share is one task, and what is in the store is not done again."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tvm_vsq.errors import ConfigError, InputError, VsqError, VsqWarning, shown
from tvm_vsq.explore import keys, work
from tvm_vsq.explore.goals import COSTS, Constraint
from tvm_vsq.explore.space import Point
from tvm_vsq.explore.store import FP32, METRICS, POINTS, Store
from tvm_vsq.explore.workers import Task, Workers, finish
from tvm_vsq.extras import extra
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.hardware.peak import clock_note
from tvm_vsq.quantize import QuantConfig

Row = dict[str, Any]
_SHARED, _QUANTIZED = "shared", "quantized"
"""Folders of the store, for what is gone in the end."""


@dataclass(frozen=True)
class _Design:
    """A point with its keys (`explore.keys`): of its integers, of their programs, of all that is measured."""

    config: QuantConfig
    hardware: HardwareConfig
    numbers: str
    programs: str
    key: str

    def __str__(self) -> str:
        return f"quant '{self.config.notation}' with vector_size={self.config.vector_size}"


class Measurer:
    """Measures points with `crew`, and keeps what it finds in `store`.

    schedules: those of `job`, as a digest. `fp32` is what `evaluate` returns for the network in fp32.
    """

    def __init__(
        self, job: work.Job, store: Store, crew: Workers, schedules: str, constraints: Sequence[Constraint]
    ) -> None:
        self._job, self._store, self._crew, self._schedules = job, store, crew, schedules
        self._constraints = constraints
        data = extra("cloudpickle", "sweep", "sweeps").dumps(job)
        self._shared = keys.digest(data), crew.place(store.keep_bytes(_SHARED, "job", data))
        self._said: set[str] = set()
        self.fp32: dict[str, float] = self._fp32_metrics()

    def _fp32_metrics(self) -> dict[str, float]:
        if self._job.evaluate is None:
            return {}
        if self._store.find(METRICS, FP32) is None:
            what = "evaluating the fp32 network"
            finish(self._crew, [Task(what, work.fp32_metrics, self._shared, self._keep_fp32)])
        return dict(self._store.find(METRICS, FP32))

    def close(self) -> None:
        """Take the model and the data out of the store."""
        self._store.drop(_SHARED, "job")

    def _keep_fp32(self, metrics: Mapping[str, float]) -> Iterable[Task]:
        self._store.keep(METRICS, FP32, metrics)
        return ()

    def rows(self, points: Sequence[Point | VsqError], advance: Callable[[int], None]) -> list[Row]:
        """What is known of each point, in their order, or the error that it is.

        advance: called with the number of points that were finished, whenever some are.
        """
        rows: list[Row] = []
        designs: dict[int, _Design] = {}
        for place, point in enumerate(points):
            rows.append({"error": str(point)} if isinstance(point, VsqError) else self._made(point))
            if isinstance(point, Point) and not rows[place]["error"]:
                designs[place] = self._design(point)
        advance(len(points) - len(designs))
        finish(self._crew, self._tasks(designs.values(), advance))
        for place, design in designs.items():
            metrics = self._store.find(METRICS, design.numbers) or {}
            rows[place] |= {**metrics, **(self._found(design) or {})}
        return rows

    def _found(self, design: _Design) -> Row | None:
        """The record of a point that was measured. Raises InputError if it is damaged."""
        record = self._store.find(POINTS, design.key)
        wanted = COSTS.keys() - {"area_mm2"}
        if record is None or (isinstance(record, dict) and ("error" in record or wanted <= record.keys())):
            return record
        path = self._store.path(POINTS, f"{design.key}.json")
        raise InputError(f"{shown(str(path))} is damaged; delete it, and the point is measured again")

    def _made(self, point: Point) -> Row:
        """What is known of a point without measuring; as `error` the constraint that its area breaks: then
        nothing has to be measured."""
        row: Row = {"config": point.config.model_dump(), "hardware": point.hardware.model_dump(), "error": ""}
        table = self._job.table(point.hardware)
        row["clock_note"] = clock_note(point.hardware, table)
        try:
            area = point.hardware.area(table)
        except ConfigError as error:
            return {**row, "area_mm2": None, "area_note": str(error)}
        row |= {"area_mm2": area.mm2, "area_by_group_mm2": area.by_group()}
        broken = [each for each in self._constraints if each.name == "area_mm2" and not each.holds(row, {})]
        return {**row, "error": f"not measured: its area breaks {broken[0].text!r}"} if broken else row

    def _design(self, point: Point) -> _Design:
        technology = None if self._job.technology is None else self._job.technology.model_dump()
        numbers = keys.numbers_key(point.config, point.hardware, self._job.with_rows)
        programs = keys.programs_key(numbers, point.hardware, self._schedules)
        key = keys.point_key(programs, point.hardware, technology)
        return _Design(point.config, point.hardware, numbers, programs, key)

    def _tasks(self, designs: Iterable[_Design], advance: Callable[[int], None]) -> Iterator[Task]:
        """To quantize once, and to compile once, for all designs with the same key."""
        open_designs: dict[str, dict[str, dict[str, _Design]]] = {}
        for design in designs:
            if self._found(design) is None:
                same = open_designs.setdefault(design.numbers, {}).setdefault(design.programs, {})
                if design.key not in same:
                    same[design.key] = design
                    continue
            advance(1)
        for numbers, programs in open_designs.items():
            yield from self._group(numbers, [list(same.values()) for same in programs.values()], advance)

    def _group(
        self, numbers: str, programs: Sequence[Sequence[_Design]], advance: Callable[[int], None]
    ) -> list[Task]:
        """For designs that are the same integers; those of each of `programs` cost the same cycles."""
        designs, left = [design for same in programs for design in same], len(programs)

        def take_numbers(found: work.Numbers) -> Iterable[Task]:
            self._say(found.said)
            if found.error:
                self._keep(designs, [{"error": found.error}] * len(designs), advance)
                return ()
            if found.metrics.keys() != self.fp32.keys():
                names = [", ".join(each) or "nothing" for each in (self.fp32, found.metrics)]
                raise InputError(
                    f"evaluate returned {names[0]} for the fp32 network, but {names[1]} for {designs[0]}"
                )
            self._store.keep_bytes(_QUANTIZED, numbers, found.quantized)
            self._store.keep(METRICS, numbers, found.metrics)
            return compiling()

        def compiling() -> list[Task]:
            quantized = self._crew.place(self._store.path(_QUANTIZED, numbers))
            tasks = []
            for same in programs:
                arguments = *self._shared, numbers, quantized, [design.hardware for design in same]
                what = f"compiling {same[0]} for {same[0].hardware.label}"
                tasks.append(Task(what, work.costs, arguments, partial(take_costs, same)))
            return tasks

        def take_costs(same: Sequence[_Design], found: Sequence[Row]) -> Iterable[Task]:
            nonlocal left
            self._keep(same, found, advance)
            left -= 1
            if not left:
                self._store.drop(_QUANTIZED, numbers)
            return ()

        if self._store.find(METRICS, numbers) is not None and self._store.path(_QUANTIZED, numbers).is_file():
            return compiling()
        arguments = *self._shared, designs[0].config, [design.hardware for design in designs]
        return [Task(f"quantizing: {designs[0]}", work.numbers, arguments, take_numbers)]

    def _keep(
        self, designs: Sequence[_Design], records: Sequence[Row], advance: Callable[[int], None]
    ) -> None:
        for design, record in zip(designs, records, strict=True):
            self._store.keep(POINTS, design.key, record)
        advance(len(designs))

    def _say(self, messages: Iterable[str]) -> None:
        for message in messages:
            if message not in self._said:
                self._said.add(message)
                warnings.warn(message, VsqWarning, stacklevel=2)
