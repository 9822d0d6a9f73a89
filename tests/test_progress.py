"""Progress is shown where it was asked for and stderr is a terminal; else work goes on in silence."""

from __future__ import annotations

import pytest

import tvm_vsq
from tvm_vsq.progress import progress_shown, steps


@pytest.fixture
def terminal(monkeypatch):
    """What rich takes for one."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


def test_items_come_out_as_they_are(capsys):
    assert list(steps("working", range(3))) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


def test_a_log_gets_nothing(capsys):
    with progress_shown(True):
        assert list(steps("working", range(3), 3)) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar_that_is_gone_when_its_work_is(capsys, terminal):
    with progress_shown(True) as bars:
        for _ in steps("working", range(3), 3):
            bars.refresh()
            assert [task.description for task in bars.tasks] == ["working"]
        assert not bars.tasks
    assert list(steps("afterwards", range(2))) == [0, 1]
    out, err = capsys.readouterr()
    assert not out
    assert "working" in err
    assert "afterwards" not in err


def test_work_that_fails_takes_its_bar_with_it(terminal):
    with progress_shown(True) as bars:
        with pytest.raises(ZeroDivisionError):
            list(steps("dividing", (1 // value for value in (1, 0)), 2))
        assert not bars.tasks


@pytest.mark.parametrize("wanted", [False, True])
def test_compile_shows_what_takes_long_if_asked(networks, monkeypatch, capsys, terminal, wanted):
    model, x = networks.build(networks.Mlp)
    shown = []
    monkeypatch.setattr(
        "rich.progress.Progress.add_task", lambda _self, what, total=None: shown.append(what) or 0
    )
    monkeypatch.setattr("rich.progress.Progress.advance", lambda _self, _task: None)
    monkeypatch.setattr("rich.progress.Progress.remove_task", lambda _self, _task: None)
    options = {"progress": True} if wanted else {}
    samples = networks.samples(networks.Mlp, 32)
    tvm_vsq.compile(model, example_inputs=(x,), calibration=samples, **options)
    assert not capsys.readouterr().out
    if wanted:
        expected = {"running the fp32 network", "choosing the weights of layers", "scheduling layers"}
        assert expected <= set(shown)
