"""Finding the native library, and its errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from tvm_vsq.errors import ProgramError
from tvm_vsq.hardware import load_hardware
from tvm_vsq.runtime import native


def test_an_override_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    missing = tmp_path / "missing.so"
    monkeypatch.setenv(native.LIBRARY_VARIABLE, str(missing))
    with pytest.raises(ProgramError, match=r"missing\.so' does not exist; correct TVM_VSQ_LIBRARY"):
        native.library_path()


def test_an_override_wins_over_the_installed_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    library = tmp_path / "other.so"
    library.touch()
    monkeypatch.setenv(native.LIBRARY_VARIABLE, str(library))
    assert native.library_path() == library


def test_the_library_is_loaded_once() -> None:
    assert native.library() is native.library()


def test_value_errors_become_program_errors_and_others_pass() -> None:
    with pytest.raises(ProgramError, match=r"^text$"), native.translated_errors():
        raise ValueError("text")
    with pytest.raises(KeyError), native.translated_errors():
        raise KeyError


def test_the_shipped_targets_are_accepted() -> None:
    for name in ("vsq-accel", "vsq-accel-int8", "vsq-accel-w4a8"):
        params = load_hardware(name).sim_params()
        with pytest.raises(ProgramError, match="no FINISH"):
            native.simulate_timing(params, b"", b"", 0)
