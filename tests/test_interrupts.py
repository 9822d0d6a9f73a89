"""Ctrl-C is answered, whatever the libraries under a phase make of it."""

import signal
import threading

import pytest

from tvm_vsq.threads import compiling


@pytest.fixture(autouse=True)
def pythons_handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def _swallowed(error: type[Exception] | None) -> None:
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        if error is not None:
            raise error("something of TVM's") from None


@pytest.mark.parametrize("error", [RuntimeError, None])
def test_an_interrupt_that_a_library_renames_or_drops_is_raised(error):
    with pytest.raises(KeyboardInterrupt), compiling, compiling:
        _swallowed(error)


def test_the_lock_is_free_and_the_handler_is_back_afterwards():
    test_an_interrupt_that_a_library_renames_or_drops_is_raised(RuntimeError)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    done = []

    def other() -> None:
        with compiling:
            done.append(1)

    worker = threading.Thread(target=other)
    worker.start()
    worker.join(10)
    assert done == [1]


def test_other_errors_pass():
    with pytest.raises(ValueError, match="plain"), compiling:
        raise ValueError("plain")
