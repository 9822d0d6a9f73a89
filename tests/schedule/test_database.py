"""A tuned schedule is used for the workload and hardware it was measured on, and for nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tvm_vsq.errors import ScheduleError
from tvm_vsq.hardware import HardwareConfig, list_targets, load_hardware
from tvm_vsq.schedule import (
    Convolution,
    Database,
    Knobs,
    Record,
    default_knobs,
    fingerprint,
    resolve_database,
)
from tvm_vsq.schedule.footprint import misfits

HARDWARE = load_hardware("vsq-accel")
WORKLOAD = Convolution(1, 8, 8, 2, 2, 3, 3, padding=(1, 1, 1, 1))
KNOBS = Knobs(4, 8, 1, 2, "hw_outer", True)


def record(
    workload: Convolution = WORKLOAD, knobs: Knobs = KNOBS, cycles: int = 100, **changes: object
) -> Record:
    fields = {
        "workload": workload.key,
        "hardware": fingerprint(HARDWARE),
        "knobs": knobs.to_dict(),
        "cycles": cycles,
    }
    return Record.model_validate({**fields, "default_cycles": 200, "trials": 3, **changes})


def test_a_record_is_found_for_its_own_workload_and_hardware() -> None:
    assert default_knobs(WORKLOAD, HARDWARE, "x") != KNOBS
    assert Database(records=(record(),)).lookup(WORKLOAD, HARDWARE) == KNOBS


@pytest.mark.parametrize(
    "other",
    [
        Convolution(1, 8, 8, 2, 2, 3, 3, padding=(0, 0, 0, 0)),
        Convolution(1, 8, 8, 2, 2, 3, 3, padding=(1, 1, 1, 1), has_residual=True),
        Convolution(2, 8, 8, 2, 2, 3, 3, padding=(1, 1, 1, 1)),
    ],
)
def test_a_record_of_another_workload_is_not_used(other: Convolution) -> None:
    assert Database(records=(record(),)).lookup(other, HARDWARE) is None


def leaves(fields: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all numbers and names in a dumped configuration."""
    for key, value in fields.items():
        yield from leaves(value, (*path, key)) if isinstance(value, dict) else [(*path, key)]


def changed(hardware: HardwareConfig, path: tuple[str, ...]) -> HardwareConfig:
    """With another value there, legal or not: this is about identity."""
    key, *rest = path
    value = getattr(hardware, key)
    other = (
        changed(value, tuple(rest)) if rest else f"{value}1" if isinstance(value, str) else (value or 0) + 1
    )
    return type(hardware).model_construct(**{**dict(hardware), key: other})


FREE = {("name",), ("clock_mhz",), ("technology",)}  # what cycles do not depend on


@pytest.mark.parametrize("path", list(leaves(HARDWARE.model_dump())), ids=".".join)
def test_a_record_is_stale_on_other_hardware_and_knows_it_by_all_that_cycles_depend_on(
    path: tuple[str, ...],
) -> None:
    found = Database(records=(record(),)).lookup(WORKLOAD, changed(HARDWARE, path))
    assert found == (KNOBS if path in FREE else None)


def test_a_record_whose_tiles_are_larger_than_the_layer_is_ignored() -> None:
    for knobs, is_used in ((Knobs(3, 8, 1, 2), True), (Knobs(9, 8, 1, 2), False)):
        found = Database(records=(record(knobs=knobs),)).lookup(WORKLOAD, HARDWARE)
        assert found == (knobs if is_used else None)


def test_a_record_that_does_not_fit_the_scratchpads_is_ignored() -> None:
    large, whole = Convolution(1, 64, 64, 4, 16, 3, 3, padding=(1, 1, 1, 1)), Knobs(64, 64, 16, 4)
    assert misfits(large, whole, HARDWARE)
    assert Database(records=(record(large, whole),)).lookup(large, HARDWARE) is None


@pytest.mark.parametrize("target", list_targets())
def test_auto_is_the_database_that_ships(target: str) -> None:
    hardware = load_hardware(target)
    shipped = Path(__file__).resolve().parents[2] / "schedules" / f"{target}.json"
    database = resolve_database("auto", hardware)
    assert database == Database.load(shipped)
    assert database.records
    assert resolve_database("default", hardware) == Database()


def test_a_new_record_takes_the_place_of_the_old_one() -> None:
    old, new = record(cycles=100), record(cycles=90, knobs=Knobs(8, 8, 1, 2))
    other = record(Convolution(2, 8, 8, 2, 2))
    assert Database().updated(old).updated(other).updated(new).records == (other, new)


def test_records_of_two_machines_live_side_by_side() -> None:
    other = load_hardware("vsq-accel-int8")
    theirs = record(knobs=Knobs(8, 8, 1, 2), hardware=fingerprint(other))
    database = Database().updated(record()).updated(theirs)
    assert database.lookup(WORKLOAD, HARDWARE) == KNOBS
    assert database.lookup(WORKLOAD, other) == Knobs(8, 8, 1, 2)


def test_save_and_load_round_trip(tmp_path: Path) -> None:
    database = Database(records=(record(),))
    database.save(tmp_path / "db.json")
    assert Database.load(tmp_path / "db.json") == database
    assert resolve_database(tmp_path / "db.json", HARDWARE) == database
    assert sorted(path.name for path in tmp_path.iterdir()) == [".db.json.lock", "db.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version"),
        ({"records": [{}]}, "records.0.workload"),
        ({"records": [{**record().model_dump(), "knobs": {"tile_h": 1}}]}, "expected the keys tile_h"),
        ({"extra": 1}, "extra"),
    ],
)
def test_a_damaged_database_is_refused_by_file_and_key(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    path = tmp_path / "db.json"
    path.write_text(json.dumps({"version": 1, "records": []} | change))
    with pytest.raises(ScheduleError, match=rf"db\.json.*{message}"):
        Database.load(path)


def test_no_json_and_no_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "db.json").write_text("no json")
    with pytest.raises(ScheduleError, match=r"db\.json.*JSON"):
        Database.load(tmp_path / "db.json")
    with pytest.raises(ScheduleError, match="there is no schedule database 'nowhere"):
        resolve_database("nowhere.json", HARDWARE)
    with pytest.raises(ScheduleError, match="not int"):
        resolve_database(3, HARDWARE)  # type: ignore[arg-type]
    with pytest.raises(ScheduleError, match=r"folder .*missing' does not exist"):
        Database().save(tmp_path / "missing" / "db.json")
