"""Many processes save to one database, and are killed at any time: what was reported as saved stays."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest

from tvm_vsq.errors import ScheduleError
from tvm_vsq.schedule import Database, Knobs, Record

PROCESSES = multiprocessing.get_context("fork")


def record(workload: str, cycles: int = 100, trials: int = 3) -> Record:
    knobs = Knobs(1, 1, 1, 1).to_dict()
    return Record(
        workload=workload, hardware="h", knobs=knobs, cycles=cycles, default_cycles=200, trials=trials
    )


def _writer(file: Path, name: str, report: int) -> None:
    """Save records one by one, and write a byte to `report` for each that is saved."""
    saved = database = Database()
    for number in range(10_000):
        database = database.updated(record(f"{name}.{number}"))
        database.save(file, since=saved)
        saved = database
        os.write(report, b".")


def test_writers_that_are_killed_lose_nothing_that_was_saved(tmp_path: Path) -> None:
    file = tmp_path / "db.json"
    order = random.Random(0)
    reported: dict[str, int] = {}
    running: list[tuple[str, Any, int]] = []

    def start(name: str) -> None:
        read, write = os.pipe()
        process = PROCESSES.Process(target=_writer, args=(file, name, write))
        process.start()
        os.close(write)
        running.append((name, process, read))

    for number in range(3):
        start(f"w{number}")
    for number in range(3, 15):
        time.sleep(order.uniform(0.005, 0.06))
        name, process, read = running.pop(order.randrange(len(running)))
        process.kill()
        process.join()
        with os.fdopen(read, "rb") as pipe:
            reported[name] = len(pipe.read())
        if file.exists():
            Database.load(file)  # never half a file
        start(f"w{number}")
    for name, process, read in running:
        process.kill()
        process.join()
        with os.fdopen(read, "rb") as pipe:
            reported[name] = len(pipe.read())
    found = {each.workload for each in Database.load(file).records}
    assert sum(reported.values()) > len(reported)
    for name, count in reported.items():
        assert {f"{name}.{number}" for number in range(count)} <= found
    Database().save(file)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".db.json.lock", "db.json"]


def _replacer(file: Path) -> None:
    for cycles in range(10_000):
        Database(records=(record("w", 10_000 - cycles),)).save(file)


def test_readers_see_whole_databases_alone(tmp_path: Path) -> None:
    file = tmp_path / "db.json"
    Database(records=(record("w", 10_001),)).save(file)
    process = PROCESSES.Process(target=_replacer, args=(file,))
    process.start()
    try:
        seen: set[int] = set()
        while len(seen) < 50 and process.is_alive():  # a busy machine may start the writer late
            seen.add(Database.load(file).records[0].cycles)
    finally:
        process.kill()
        process.join()
    assert len(seen) == 50


A, B = record("a"), record("b")


@pytest.mark.parametrize(
    ("before", "ours", "theirs", "merged"),
    [
        ((), (A,), (B,), (B, A)),
        ((A, B), (A, B), (A, B), (A, B)),
        ((A,), (record("a", 90),), (A,), (record("a", 90),)),
        ((A,), (record("a", 110),), (A,), (record("a", 110),)),  # slower alone, faster in the model
        ((A,), (A,), (record("a", 110),), (record("a", 110),)),
        ((A,), (record("a", 80),), (record("a", 90),), (record("a", 80),)),
        ((A,), (record("a", 95),), (record("a", 90),), (record("a", 90),)),
        ((), (record("a", 95),), (record("a", 90),), (record("a", 90),)),
        ((), (record("a", 90, trials=9),), (record("a", 90),), (record("a", 90, trials=9),)),
        ((A, B), (B,), (A, B), (B,)),  # deleted here
        ((A, B), (A, B), (B,), (B,)),  # deleted there
        ((A,), (), (record("a", 110),), (record("a", 110),)),  # deleted here, changed there
    ],
)
def test_what_a_save_makes_of_changes_on_both_sides(tmp_path: Path, before, ours, theirs, merged) -> None:
    file = tmp_path / "db.json"
    Database(records=theirs).save(file)
    saved = Database(records=ours).save(file, since=Database(records=before))
    assert saved.records == merged
    assert Database.load(file) == saved


def test_a_file_that_is_no_database_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "notes.json"
    file.write_text('{"my": "notes"}')
    with pytest.raises(ScheduleError, match=r"notes\.json"):
        Database().save(file)
    assert file.read_text() == '{"my": "notes"}'
    with pytest.raises(ScheduleError, match="cannot write '/dev/null'"):
        Database().save("/dev/null")
