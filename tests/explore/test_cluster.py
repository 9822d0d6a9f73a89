"""A sweep on a Dask cluster: a scheduler and two workers in processes of their own, one of them killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
from torch import nn

import tvm_vsq
from tvm_vsq.errors import ConfigError

SPACE = {"quant": ["4/4/4/4", "6/6/4/4", "8/8/-/-"], "dram.bytes_per_cycle": [4, 8, 16]}


def started(*arguments):
    """A process of dask's command line in a group of its own."""
    command = [sys.executable, "-m", "dask", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


@pytest.fixture
def cluster(tmp_path):
    """The address of a scheduler, and its two workers."""
    file = tmp_path / "scheduler.json"
    options = "--no-dashboard", "--scheduler-file", file
    scheduler = started("scheduler", "--host", "127.0.0.1", "--port", 0, *options)
    worker = (
        "worker",
        "--scheduler-file",
        file,
        "--nthreads",
        1,
        "--no-dashboard",
        "--local-directory",
        tmp_path,
    )
    workers = [started(*worker), started(*worker)]
    try:
        yield file, workers
    finally:
        for process in (*workers, scheduler):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.large
def test_a_worker_of_a_cluster_may_be_killed_half_way(cluster, tmp_path):
    from distributed import Client

    file, workers = cluster
    with Client(scheduler_file=str(file), timeout=60) as client:
        client.wait_for_workers(2, timeout=60)
        address = client.scheduler.address
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 20, 3), nn.ReLU(), nn.Flatten(), nn.Linear(320, 5)).eval()
    data = np.random.default_rng(0).standard_normal((24, 3, 6, 6)).astype(np.float32)

    def evaluate(network):
        return float(network.run_batch(data).argmax(1).mean())

    named = {"example_inputs": (torch.zeros(1, 3, 6, 6),), "calibration": data, "progress": False}
    folder, killed = tmp_path / "sweep", []

    def kill_one():
        while not killed:
            if len(list((folder / "points").glob("*.json"))) >= 2:
                os.killpg(workers[0].pid, signal.SIGKILL)
                killed.append(workers[0].wait())
            time.sleep(0.01)

    threading.Thread(target=kill_one, daemon=True).start()
    found = tvm_vsq.sweep(model, SPACE, evaluate=evaluate, folder=folder, scheduler=address, **named)
    assert killed == [-signal.SIGKILL]
    assert workers[1].poll() is None
    assert found.to_json() == tvm_vsq.sweep(model, SPACE, evaluate=evaluate, workers=1, **named).to_json()


def test_a_scheduler_that_does_not_answer_is_refused():
    model = nn.Sequential(nn.Linear(16, 4)).eval()
    with pytest.raises(ConfigError, match="scheduler 'nowhere' does not answer"):
        tvm_vsq.sweep(model, SPACE, scheduler="nowhere", example_inputs=(torch.zeros(1, 16),))
