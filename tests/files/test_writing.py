"""A file appears whole or not at all, wherever it is to be, and whatever ends the process that writes it."""

from __future__ import annotations

import multiprocessing
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from tvm_vsq.errors import InputError, ScheduleError
from tvm_vsq.files import as_path, check_output, check_output_folder, locked, replacing, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("old")
    with pytest.raises(UnicodeEncodeError), replacing(file) as draft:
        draft.write_text("new \ud800")
    assert file.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    write_text(file, "old")
    with replacing(file) as draft:
        draft.write_text("new")
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.txt"
    link.symlink_to("real/file.txt")
    for text in ("first", "second"):  # where nothing is yet, and where a file is
        write_text(link, text)
        assert link.is_symlink()
        assert (tmp_path / "real" / "file.txt").read_text() == text


def test_permissions_stay_and_new_files_have_the_usual_ones(tmp_path: Path) -> None:
    (tmp_path / "usual").write_text("")
    write_text(tmp_path / "new", "")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode
    (tmp_path / "new").chmod(0o640)
    write_text(tmp_path / "new", "again")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640


def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    write_text(tmp_path / ("n" * 255), "text")
    assert names(tmp_path) == ["n" * 255]


def test_a_device_and_a_pipe_are_written_as_they_are(tmp_path: Path) -> None:
    write_text("/dev/null", "text")
    assert Path("/dev/null").is_char_device()
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "text")
    reader.join()
    assert read == ["text"]
    assert pipe.is_fifo()


def _write_half(file: Path, ready: Any) -> None:
    with replacing(file) as draft:
        draft.write_text("half")
        ready.set()
        threading.Event().wait(60)


def test_what_a_killed_writer_left_is_removed_by_the_next_and_what_a_living_one_has_is_not(
    tmp_path: Path,
) -> None:
    file = tmp_path / "a.txt"
    write_text(file, "old")
    processes = multiprocessing.get_context("fork")
    ready = processes.Event()
    process = processes.Process(target=_write_half, args=(file, ready))
    process.start()
    try:
        assert ready.wait(60)
        write_text(tmp_path / "b.txt", "other")
        assert len(names(tmp_path)) == 3  # the draft of the living one
    finally:
        process.kill()
        process.join()
    assert file.read_text() == "old"
    assert len(names(tmp_path)) == 3
    write_text(tmp_path / "b.txt", "other")
    assert names(tmp_path) == ["a.txt", "b.txt"]


def test_what_fails_in_writing_names_file_and_reason(tmp_path: Path) -> None:
    with (
        pytest.raises(ScheduleError, match=r"cannot write '.*a\.txt': No space left on device"),
        replacing(tmp_path / "a.txt", error=ScheduleError),
    ):
        Path("/dev/full").write_text("text")
    assert names(tmp_path) == []


def _folder(root: Path) -> Path:
    (root / "folder.so").mkdir()
    return root / "folder.so"


def _read_only(root: Path) -> Path:
    (root / "old.so").write_text("old")
    (root / "old.so").chmod(0o444)
    return root / "old.so"


def _circle(root: Path) -> Path:
    (root / "a.so").symlink_to("b.so")
    (root / "b.so").symlink_to("a.so")
    return root / "a.so"


def _broken_link(root: Path) -> Path:
    (root / "a.so").symlink_to("nowhere/b.so")
    return root / "a.so"


def _file_as_folder(root: Path) -> Path:
    (root / "file").write_text("")
    return root / "file" / "a.so"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_folder, "it is a folder; give the name of a file"),
        (_read_only, "it is read-only"),
        (_circle, "symbolic links"),
        (_broken_link, "folder '.*nowhere' does not exist"),
        (_file_as_folder, "folder '.*file' does not exist"),
        (lambda root: root / "nope" / "a.so", "folder '.*nope' does not exist"),
        (lambda root: root / "a.txt", r"the file name must end in \.so"),
        (lambda root: root / ("n" * 300 + ".so"), "File name too long"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_the_work(tmp_path, make, message) -> None:
    path = make(tmp_path)
    before = names(tmp_path)
    with pytest.raises(InputError, match=f"cannot write '.*{message}"):
        check_output(path, ".so")
    assert names(tmp_path) == before


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: _read_only(root).parent, "it is not empty; give a new folder, or empty it"),
        (_read_only, "it is no folder; give another name"),
        (_circle, "symbolic links"),
        (_broken_link, "folder '.*nowhere' does not exist"),
        (_file_as_folder, "Not a directory"),
        (lambda root: root / "nope" / "new", "folder '.*nope' does not exist"),
        (lambda root: root / ("n" * 300), "File name too long"),
    ],
)
def test_a_folder_of_outputs_that_cannot_be_is_refused_before_the_work(tmp_path, make, message) -> None:
    path = make(tmp_path)
    before = names(tmp_path)
    with pytest.raises(InputError, match=f"cannot write into '.*{message}"):
        check_output_folder(path)
    assert names(tmp_path) == before


def test_a_folder_of_outputs_is_new_or_empty(tmp_path: Path) -> None:
    assert check_output_folder(tmp_path) == tmp_path
    assert check_output_folder(tmp_path / "new") == tmp_path / "new"
    assert names(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(InputError, match="cannot be written to"):
        check_output(tmp_path / "a.so")
    with pytest.raises(InputError, match="cannot be written to"):
        check_output_folder(tmp_path)


@pytest.mark.parametrize("name", ["", "a\0b", "a\ud800b", b"bytes", 3, None])
def test_what_is_no_file_name_is_refused(name: object) -> None:
    with pytest.raises(InputError, match="file name"):
        as_path(name)


def test_a_lock_lets_one_in_at_a_time(tmp_path: Path) -> None:
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(5):
            with locked(tmp_path / "a"):
                inside += 1
                most = max(most, inside)
                threading.Event().wait(0.001)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_a_new_file_has_the_permissions_of_the_users_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        with replacing(tmp_path / "new.bin") as draft:
            draft.touch(0o600)  # as some libraries do
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "new.bin").stat().st_mode) == 0o640
