"""The code in the documents runs as it stands, and prints what stands behind it."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from tests.document_setups import SETUPS
from tests.documents import LANGUAGES, PAGES, ROOT, Block, Session, commands, parts

_CODE = re.compile(r"^(\$ |tvm-vsq |python |pip |make [\w-]+( +#.*)?$|import |from \w+ import )", re.M)
_PARTS = [
    pytest.param(part, id=f"{part.page.stem}-{part.number}", marks=[pytest.mark.large] * part.is_large)
    for page in PAGES
    for part in parts(page)
]


@pytest.mark.parametrize("part", _PARTS)
def test_what_a_page_says_can_be_followed(part, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    with Session(folder) as session:
        SETUPS[part.setup](session)
        for block in part.blocks:
            session.follow(block)


@pytest.mark.parametrize(
    "blocks",
    [
        [Block("", "python", "print(1)"), Block("", "text", "2\n")],
        [Block("", "python", "raise ValueError")],
        [Block("", "console", "$ echo 1\n2\n")],
        [Block("", "console", "$ false\n")],
        [Block("", "console", "$ make no-such-target\n")],
        [Block("", "console", "a line that no command prints\n")],
    ],
    ids=lambda blocks: blocks[-1].text.strip(),
)
def test_a_page_that_is_wrong_is_found(blocks, tmp_path):
    session = Session(tmp_path)
    *before, wrong = blocks
    for block in before:
        session.follow(block)
    with pytest.raises((AssertionError, ValueError)):
        session.follow(wrong)


def test_what_blocks_leave_is_there_for_those_behind_them(tmp_path):
    session = Session(tmp_path)
    for language, text in (
        ("python", "value = 1"),
        ("python", "print(value, file=open('value', 'w'))"),
        ("console", "$ export NAME=value\n$ cat $NAME\n1\n"),
        ("python", "print('a long line of which a page shows a part')"),
        ("text", "a long line ... a part\n"),
    ):
        session.follow(Block("", language, text))


def test_what_a_page_starts_and_leaves_running_ends(tmp_path):
    with Session(tmp_path) as session:
        session.follow(Block("", "console", "$ sleep 1000 > /dev/null 2>&1 & echo $! > pid\n"))
        assert _is_running(int((tmp_path / "pid").read_text()))
    deadline = time.monotonic() + 10
    while _is_running(int((tmp_path / "pid").read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _is_running(pid):
    """A process that ended, and whose parent has not asked for its status, is not."""
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_block_of_a_page_is_followed(page):
    blocks = [block for part in parts(page) for block in part.blocks]
    fences = re.findall(r"^\s*```.*$", (ROOT / page).read_text(encoding="utf-8"), re.M)
    assert len(fences) == 2 * len(blocks)
    for before, block in zip([None, *blocks], blocks, strict=False):
        assert block.file or not block.language or block.language in LANGUAGES, block
        if block.language == "text":
            assert before, block
            assert before.language == "python", block
        if block.language == "console":
            assert list(commands(block.text))
        if not block.language and not block.file:  # what a benchmark printed
            assert not _CODE.search(block.text), block
