"""Progress is shown where it was asked for and stderr is a terminal; else work goes on in silence."""

from __future__ import annotations

import pytest

import tvm_vsq
from tvm_vsq.progress import busy, hidden, progress_shown, steps


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


def test_a_bar_says_which_item_it_is_at_unless_it_is_hidden(capsys, terminal):
    with progress_shown(True) as bars:
        for item in steps("tuning", ["conv[a]", "fc"], 2, name=str):
            bars.refresh()
            assert bars.tasks[0].description == f"tuning: {item}".replace("[", "\\[")
            with hidden():
                assert list(steps("scheduling", [1], 1)) == [1]
                assert len(bars.tasks) == 1
        with busy("writing a.so"):
            bars.refresh()
            assert [(task.description, task.total) for task in bars.tasks] == [("writing a.so", None)]
    err = capsys.readouterr().err
    assert all(text in err for text in ("tuning: conv[a]", "tuning: fc", "writing a.so"))
    assert "scheduling" not in err


@pytest.fixture
def shown(monkeypatch) -> set[str]:
    """What bars have said."""
    said: set[str] = set()
    monkeypatch.setattr(
        "rich.progress.Progress.add_task", lambda _self, what, total=None: said.add(what) or 0
    )
    monkeypatch.setattr(
        "rich.progress.Progress.update", lambda _self, _task, description: said.add(description)
    )
    monkeypatch.setattr("rich.progress.Progress.advance", lambda _self, _task: None)
    monkeypatch.setattr("rich.progress.Progress.remove_task", lambda _self, _task: None)
    return said


@pytest.fixture(scope="module")
def given(networks):
    """A network, and what all functions take besides."""
    model, x = networks.build(networks.Mlp)
    return model, {"example_inputs": (x,), "calibration": networks.samples(networks.Mlp, 32)}


@pytest.mark.parametrize("wanted", [False, True])
def test_compile_and_save_show_what_takes_long_if_asked(given, capsys, terminal, shown, tmp_path, wanted):
    model, data = given
    options = {"progress": True} if wanted else {}
    exe = tvm_vsq.compile(model, **data, **options)
    expected = {"running the fp32 network", "choosing the weights of layers", "scheduling layers"}
    expected |= {"compiling: imported", "compiling: quantized"}
    assert not wanted or expected <= shown
    shown.clear()
    exe.save(tmp_path / "net.so", **options)
    out, err = capsys.readouterr()
    assert (out, "writing net.so" in shown) == ("", True)
    assert wanted == bool(err)


def test_studies_and_tuning_name_what_they_are_at(given, capsys, terminal, shown):
    model, data = given
    tvm_vsq.quantization_report(model, **data, progress=True)
    assert {"running the fp32 network", "choosing the weights of layers"} <= shown
    shown.clear()
    profile = tvm_vsq.profile_formats(model, formats=("4/4/4/4", "8/8/-/-"), **data)
    names = profile.sensitivity.layers
    assert {f"measuring: {name}" for name in ("all layers", *names)} <= shown
    shown.clear()
    tvm_vsq.tune(model, trials=1, example_inputs=data["example_inputs"])
    assert {f"tuning for vsq-accel: {name}" for name in ("up", "head")} <= shown  # down is like up
    assert "scheduling layers" not in shown
    assert not capsys.readouterr().out
