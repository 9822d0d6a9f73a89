"""Tuned schedules on disk: JSON records that are only used for the workload and hardware they were
measured on."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from tvm_vsq.errors import ScheduleError
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.footprint import fits
from tvm_vsq.schedule.knobs import Knobs, divisors
from tvm_vsq.schedule.workload import Workload

# Raised whenever lowering changes what a schedule means or costs: older records are then stale.
_LOWERING_VERSION = 1


def fingerprint(hardware: HardwareConfig) -> str:
    """16 hex digits of everything that cycles depend on; name, clock and technology do not count."""
    relevant = hardware.model_dump(exclude={"name", "clock_mhz", "technology"})
    text = json.dumps([_LOWERING_VERSION, relevant], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Record(BaseModel):
    """The best schedule found for one workload on one hardware: `cycles` of the layer alone, after
    `trials`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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


class Database(BaseModel):
    """Tuned schedules. `records` hold at most one entry for a pair of workload and hardware."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    records: tuple[Record, ...] = ()

    def lookup(self, workload: Workload, hardware: HardwareConfig) -> Knobs | None:
        """The schedule tuned for exactly this workload and hardware, or None."""
        mark = fingerprint(hardware)
        for record in self.records:
            if record.workload == workload.key and record.hardware == mark:
                knobs = Knobs.from_dict(record.knobs)
                return knobs if _is_legal(workload, knobs, hardware) else None
        return None

    def updated(self, record: Record) -> Database:
        """With `record` in place of the entry for the same workload and hardware, if there is one."""
        place = (record.workload, record.hardware)
        rest = tuple(old for old in self.records if (old.workload, old.hardware) != place)
        return Database(records=(*rest, record))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write JSON; the file is replaced whole, never left half written."""
        target = Path(path)
        partial = target.with_name(target.name + ".partial")
        try:
            partial.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")
            partial.replace(target)
        except OSError as error:
            raise ScheduleError(f"cannot write schedules to '{target}': {error.strerror}") from None

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Database:
        """Read what `save` wrote; ScheduleError names the file and the key that is wrong."""
        try:
            return Database.model_validate_json(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ScheduleError(f"cannot read schedules from '{path}': {error}") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ScheduleError(f"schedules in '{path}': {where}: {first['msg']}; tune again") from None


def _is_legal(workload: Workload, knobs: Knobs, hardware: HardwareConfig) -> bool:
    tiles = (
        (workload.oh, knobs.tile_h),
        (workload.ow, knobs.tile_w),
        (workload.kb, knobs.tile_k),
        (workload.cv, knobs.tile_c),
    )
    return all(tile in divisors(extent) for extent, tile in tiles) and fits(workload, knobs, hardware)


def shipped_database(hardware: HardwareConfig) -> Database:
    """The database that ships for the accelerator of this name; an empty one if there is none."""
    package = Path(__file__).resolve().parents[1]
    folder = package / "schedules" if (package / "schedules").is_dir() else package.parents[1] / "schedules"
    path = folder / f"{hardware.name}.json"
    return Database.load(path) if path.is_file() else Database()


def resolve_database(schedules: str | os.PathLike[str] | Database, hardware: HardwareConfig) -> Database:
    """`"auto"` is the shipped database, `"default"` an empty one; otherwise a Database or the path of one."""
    if isinstance(schedules, Database):
        return schedules
    if schedules == "auto":
        return shipped_database(hardware)
    if schedules == "default":
        return Database()
    if not isinstance(schedules, str | os.PathLike):
        raise ScheduleError(
            f'schedules must be "auto", "default", a path or a Database, not {type(schedules).__name__}'
        )
    if not Path(schedules).is_file():
        raise ScheduleError(
            f'there is no schedule database \'{schedules}\'; tune one, or use "auto" or "default"'
        )
    return Database.load(schedules)
