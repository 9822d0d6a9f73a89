"""A tuned schedule is used for the workload and hardware it was measured on, and for nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tvm_vsq.errors import ScheduleError
from tvm_vsq.hardware import list_targets, load_hardware
from tvm_vsq.schedule import Database, Knobs, Record, Workload, default_knobs, fingerprint, resolve_database

HARDWARE = load_hardware("vsq-accel")
WORKLOAD = Workload(1, 8, 8, 2, 2, 3, 3, padding=(1, 1, 1, 1))
KNOBS = Knobs(4, 8, 1, 2, "hw_outer", True)


def record(
    workload: Workload = WORKLOAD, knobs: Knobs = KNOBS, cycles: int = 100, **changes: object
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
        Workload(1, 8, 8, 2, 2, 3, 3, padding=(0, 0, 0, 0)),
        Workload(1, 8, 8, 2, 2, 3, 3, padding=(1, 1, 1, 1), has_residual=True),
        Workload(2, 8, 8, 2, 2, 3, 3, padding=(1, 1, 1, 1)),
    ],
)
def test_a_record_of_another_workload_is_not_used(other: Workload) -> None:
    assert Database(records=(record(),)).lookup(other, HARDWARE) is None


@pytest.mark.parametrize(
    "change",
    [
        {"guard_bits": 3},
        {"dram": HARDWARE.dram.model_copy(update={"latency_cycles": 101})},
        {"timing": HARDWARE.timing.model_copy(update={"gemm_pipeline_cycles": 9})},
        {"scratchpads": HARDWARE.scratchpads.model_copy(update={"inp_kib": 33})},
    ],
)
def test_a_record_of_another_hardware_is_stale(change: dict[str, object]) -> None:
    changed = HARDWARE.model_copy(update=change)
    assert Database(records=(record(),)).lookup(WORKLOAD, changed) is None


def test_what_does_not_change_cycles_does_not_make_a_record_stale() -> None:
    renamed = HARDWARE.model_copy(update={"name": "mine", "clock_mhz": 1000})
    assert Database(records=(record(),)).lookup(WORKLOAD, renamed) == KNOBS


def test_a_record_whose_schedule_is_not_legal_is_ignored() -> None:
    assert Database(records=(record(knobs=Knobs(3, 8, 1, 2)),)).lookup(WORKLOAD, HARDWARE) is None


@pytest.mark.parametrize("target", list_targets())
def test_auto_is_the_database_that_ships(target: str) -> None:
    hardware = load_hardware(target)
    shipped = Path(__file__).resolve().parents[2] / "schedules" / f"{target}.json"
    database = resolve_database("auto", hardware)
    assert database == Database.load(shipped)
    assert any(record.hardware == fingerprint(hardware) for record in database.records)
    assert resolve_database("default", hardware) == Database()


def test_a_new_record_takes_the_place_of_the_old_one() -> None:
    old, new = record(cycles=100), record(cycles=90, knobs=Knobs(8, 8, 1, 2))
    other = record(Workload(2, 8, 8, 2, 2))
    assert Database().updated(old).updated(other).updated(new).records == (other, new)


def test_save_and_load_round_trip(tmp_path: Path) -> None:
    database = Database(records=(record(),))
    database.save(tmp_path / "db.json")
    assert Database.load(tmp_path / "db.json") == database
    assert resolve_database(tmp_path / "db.json", HARDWARE) == database
    assert [path.name for path in tmp_path.iterdir()] == ["db.json"]


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
    with pytest.raises(ScheduleError, match="cannot write schedules"):
        Database().save(tmp_path / "missing" / "db.json")
