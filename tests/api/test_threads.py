"""Models are compiled in several threads at once: one after the other, and each right."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numpy as np
import pytest
import torch
import tvm

import tvm_vsq
from tvm_vsq.threads import compiling


@pytest.fixture(scope="module")
def cases() -> list[tuple[Any, Any, str]]:
    """Two models with an input, each for an accelerator of its own."""
    torch.manual_seed(0)
    nets = [
        torch.nn.Sequential(torch.nn.Linear(32, n), torch.nn.ReLU(), torch.nn.Linear(n, 8)) for n in (24, 16)
    ]
    return [
        (net.eval(), torch.randn(16, 32), target)
        for net, target in zip(nets, ("vsq-accel", "vsq-accel-int8"), strict=True)
    ]


def _compiled(model: Any, x: Any, target: str) -> Any:
    return tvm_vsq.compile(model, target, example_inputs=(x,), calibration=x)(x)


def _by_tvm(model: Any, x: Any, target: str) -> Any:
    module = tvm_vsq.quantize_model(model, target, example_inputs=(x,), calibration=x)
    machine = tvm.relax.VirtualMachine(tvm.compile(module, target=target), tvm.cpu())
    return machine["main"](tvm.runtime.tensor(x.numpy())).numpy()


def _by_torch(model: Any, x: Any, target: str) -> Any:
    network = tvm_vsq.fake_quantize(model, target=target, example_inputs=(x,), calibration=x)
    return network(x)


def _reference(model: Any, x: Any, target: str) -> Any:
    return tvm_vsq.compile(model, target, example_inputs=(x,), calibration=x).reference(x)


def _tuned(model: Any, x: Any, target: str) -> Any:
    database = tvm_vsq.tune(model, target, trials=3, example_inputs=(x,), progress=False)
    return tvm_vsq.compile(model, target, example_inputs=(x,), calibration=x, schedules=database)(x)


def test_threads_compute_side_by_side_what_they_compute_alone(cases):
    alone = [np.asarray(_compiled(*case)) for case in cases]
    ways: list[Callable[..., Any]] = [_compiled, _by_tvm, _by_torch, _reference, _tuned]
    jobs = [(way, number % 2) for number, way in enumerate([_compiled, *ways])]
    running = tvm_vsq.compile(cases[0][0], example_inputs=(cases[0][1],), calibration=cases[0][1])
    start = threading.Barrier(4)
    with ThreadPoolExecutor(4, initializer=start.wait) as pool:
        futures = [pool.submit(way, *cases[number]) for way, number in jobs]
        while wait(futures, 0.02).not_done:  # inferences go on meanwhile
            assert np.array_equal(running(cases[0][1]), alone[0])
        for future, (way, number) in zip(futures, jobs, strict=True):
            assert np.array_equal(np.asarray(future.result()), alone[number]), way.__name__


def test_an_error_lets_the_next_thread_in(cases):
    with pytest.raises(tvm_vsq.VsqError):
        tvm_vsq.compile(None)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(_compiled, *cases[0]).result() is not None


def test_ctrl_c_ends_the_wait_for_another_thread():
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with compiling:
            held.set()
            done.wait(60)

    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    holder, timer = threading.Thread(target=hold), threading.Timer(0.2, interrupt)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    holder.start()
    held.wait()
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            tvm_vsq.quantize_model(None)
    finally:
        done.set()
        holder.join()
        timer.join()
        signal.signal(signal.SIGINT, before)
