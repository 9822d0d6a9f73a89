"""Tuned schedules on disk: JSON records that are only used for the workload and hardware they were
measured on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from tvm_vsq.errors import ScheduleError, shown
from tvm_vsq.files import check_output, locked, parse_json, read_text, write_text
from tvm_vsq.frozen import Frozen
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.hardware.timed import timed_fields
from tvm_vsq.schedule.footprint import fits
from tvm_vsq.schedule.knobs import Knobs
from tvm_vsq.schedule.tiling import check_knobs
from tvm_vsq.schedule.workload import Workload
from tvm_vsq.terminal import Column, Kind, Printed, Table

# Raised whenever lowering changes what a schedule means or costs: older records are then stale.
_LOWERING_VERSION = 4


def fingerprint(hardware: HardwareConfig) -> str:
    """16 hex digits of everything that cycles depend on (`hardware.timed`)."""
    text = json.dumps([_LOWERING_VERSION, timed_fields(hardware)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Record(Frozen):
    """The best schedule found for one workload on one hardware: `cycles` of the layer alone, after
    `trials`."""

    refusal = ScheduleError

    workload: str
    hardware: str
    knobs: dict[str, Any]
    cycles: int = Field(ge=0)
    default_cycles: int = Field(ge=0)
    trials: int = Field(ge=1)

    @field_validator("knobs")
    @classmethod
    def _knobs_are_readable(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            Knobs.from_dict(value)
        except ScheduleError as error:
            raise ValueError(str(error)) from None
        return value


class Database(Printed, Frozen):
    """Tuned schedules. `records` hold at most one entry for a pair of workload and hardware."""

    refusal = ScheduleError

    version: Literal[1] = 1
    records: tuple[Record, ...] = Field(default=(), strict=False)

    @property
    def summary(self) -> str:
        """How many records, for how many accelerators, and what they gain."""
        machines = len({record.hardware for record in self.records})
        before, after = (
            sum(getattr(record, name) for record in self.records) for name in ("default_cycles", "cycles")
        )
        gain = f", {before:,} -> {after:,} cycles of layers by themselves" if self.records else ""
        return f"{len(self.records)} schedules for {machines} accelerators{gain}"

    def _parts(self, wide: bool) -> Iterator[Table | str]:
        columns = (
            Column("workload", kind=Kind.TEXT),
            Column("default"),
            Column("tuned"),
            Column("change", 1),
            Column("trials", 2),
            Column("hardware", 3, Kind.WORD),
        )
        rows = [
            (
                record.workload,
                f"{record.default_cycles:,}",
                f"{record.cycles:,}",
                f"{record.cycles / record.default_cycles - 1:+.1%}" if record.default_cycles else "-",
                str(record.trials),
                record.hardware,
            )
            for record in self.records
        ]
        yield Table("Tuned schedules: cycles of each layer by itself", columns, rows)
        yield self.summary

    def find(self, workload: Workload, hardware: HardwareConfig) -> Record | None:
        """The record of exactly this workload and hardware, if its schedule is legal there."""
        mark = fingerprint(hardware)
        for record in self.records:
            if record.workload == workload.key and record.hardware == mark:
                return record if _is_legal(workload, Knobs.from_dict(record.knobs), hardware) else None
        return None

    def lookup(self, workload: Workload, hardware: HardwareConfig) -> Knobs | None:
        """The schedule tuned for exactly this workload and hardware, or None."""
        record = self.find(workload, hardware)
        return None if record is None else Knobs.from_dict(record.knobs)

    def updated(self, record: Record) -> Database:
        """With `record` in place of the entry for the same workload and hardware, if there is one."""
        rest = tuple(old for old in self.records if _place(old) != _place(record))
        return Database(records=(*rest, record))

    def without(self, workloads: Iterable[Workload], hardware: HardwareConfig) -> Database:
        """Without the records of these workloads on this hardware."""
        dropped = {(workload.key, fingerprint(hardware)) for workload in workloads}
        return Database(records=tuple(record for record in self.records if _place(record) not in dropped))

    def current(self, hardware: HardwareConfig) -> Database:
        """Without what is stale on `hardware`, or of another: for a file of one accelerator."""
        mark = fingerprint(hardware)
        return Database(records=tuple(record for record in self.records if record.hardware == mark))

    def save(self, path: str | os.PathLike[str], *, since: Database | None = None) -> Database:
        """Write JSON, and return what the file then holds; the file is replaced whole, under a lock.

        Any number of processes and threads may save to one file: what others saved stays. since: what was
        loaded from `path`, or saved there last; what changed from then on takes effect, deletions too. A
        record that others changed as well stays as the one with fewer cycles; so do, without `since`, all.
        Raises ScheduleError if the file cannot be written, or is there and is no database.
        """
        target = check_output(path, error=ScheduleError)
        if target.exists() and not target.is_file():
            raise ScheduleError(f"cannot write '{target}': it is no file that could be read again")
        with locked(target, error=ScheduleError):
            there = Database.load(target) if target.exists() else Database()
            merged = self._merged(there, since or Database())
            write_text(target, merged.model_dump_json(indent=1) + "\n", error=ScheduleError)
        return merged

    def _merged(self, there: Database, since: Database) -> Database:
        theirs, ours, before = (
            {_place(record): record for record in database.records} for database in (there, self, since)
        )
        places = [*(place for place in theirs if place not in ours), *ours]
        winners = (_winner(ours.get(at), theirs.get(at), before.get(at)) for at in places)
        return Database(records=tuple(record for record in winners if record is not None))

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Database:
        """Read what `save` wrote; ScheduleError names the file and the key that is wrong."""
        source = f"schedules in {shown(os.fspath(path))}, tune again"
        data = parse_json(read_text(path, ScheduleError), source, ScheduleError)
        if not isinstance(data, dict) or type(data.get("version")) is not int or "records" not in data:
            raise ScheduleError(f"{source}: must be a JSON object with version and records")
        return Database.checked_json(json.dumps(data), source)


def _place(record: Record) -> tuple[str, str]:
    return record.workload, record.hardware


def _winner(ours: Record | None, theirs: Record | None, before: Record | None) -> Record | None:
    """Of a record that two may have changed or removed since both had `before`."""
    if ours == before:
        return theirs
    if theirs == before:
        return ours
    if ours is None or theirs is None:
        return ours or theirs
    return ours if ours.cycles <= theirs.cycles else theirs


def _is_legal(workload: Workload, knobs: Knobs, hardware: HardwareConfig) -> bool:
    try:
        check_knobs(workload, knobs, hardware, "")
    except ScheduleError:
        return False
    return fits(workload, knobs, hardware)


def shipped_database(hardware: HardwareConfig) -> Database:
    """The database that ships for the accelerator of this name; an empty one if there is none."""
    package = Path(__file__).resolve().parents[1]
    folder = package / "schedules" if (package / "schedules").is_dir() else package.parents[1] / "schedules"
    path = folder / f"{hardware.name}.json"
    return Database.load(path) if os.path.isfile(path) else Database()


def resolve_database(schedules: str | os.PathLike[str] | Database, hardware: HardwareConfig) -> Database:
    """`"auto"` is the shipped database, `"default"` an empty one; otherwise a Database or the path of one."""
    if isinstance(schedules, Database):
        return schedules
    if isinstance(schedules, str) and schedules == "auto":
        return shipped_database(hardware)
    if isinstance(schedules, str) and schedules == "default":
        return Database()
    if not isinstance(schedules, str | os.PathLike):
        raise ScheduleError(
            f'schedules must be "auto", "default", a path or a Database, not {type(schedules).__name__}'
        )
    if not os.path.isfile(schedules):
        raise ScheduleError(
            f"there is no schedule database {shown(os.fspath(schedules))}; tune one, or use "
            '"auto" or "default"'
        )
    return Database.load(schedules)
