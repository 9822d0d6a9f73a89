"""Ctrl-C ends a long simulation, in a process of its own that ends as Python's own programs do."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.seeds import first_of

# Whoever ignores Ctrl-C, as nohup and shell scripts in the background do, hands that on to what it starts.
HEARS_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"

# 200 times 2^28 micro-ops on 8 x 8 lanes, all on one accumulator: minutes without an interrupt.
LONG_RUN = """
import numpy as np, tvm_ffi
from tests.runtime.conftest import Program, hardware, insn, load

loads = [load("inp", 0, 4096, 1), load("wgt", 0, 4096, 1), load("uop", 0, 0, 256, "push_compute")]
reset = insn("GEMM", "pop_load", reset=1, uop_count=1, iter_out=1, iter_in=1)
work = insn("GEMM", uop_count=256, iter_out=1023, iter_in=1023)
last = insn("GEMM", "push_store", uop_count=256, iter_out=1023, iter_in=1023)
end = insn("FINISH", "pop_compute")
module = Program(hardware(), [*loads, reset, *[work] * 199, last, end]).module()
print("ready", flush=True)
module["main"]()
"""

# Transfers that share cache lines and no byte, without tokens between them: compared pairwise when loaded.
LONG_LOAD = """
from tests.runtime.conftest import Program, hardware, insn, load, store

count = 20_000
loads = [load("inp", 0, 0, 1, x_size=400, x_stride=2)] * count
stores = [store("out", 0, 5, 1, x_size=400, x_stride=2)] * count
end = [load("inp", 0, 0, 1, "push_store"), store("out", 0, 0, 1)]
program = Program(hardware(), [*loads, *stores, *end, insn("FINISH", "pop_load")])
print("ready", flush=True)
program.module()
"""

# 80,000 GEMMs on 32,761 accumulators each, which are followed when the program is loaded.
LONG_BOUNDS = """
from tests.runtime.conftest import Program, hardware, insn, load
from tvm_vsq.runtime import native

hw = hardware(scratchpads={"acc_kib": 1024, "inp_kib": 128, "wgt_kib": 8})
work = insn("GEMM", uop_count=1, iter_out=181, iter_in=181, acc_out=181, acc_in=1)
start = [load("uop", 0, 0, 1, "push_compute"), insn("SYNC", "pop_load")]
last = insn("SYNC", "push_store")
data = Program(hw, [*start, work, last, insn("FINISH", "pop_compute")]).data()
code = data["instructions"]
data["instructions"] = code[:64] + code[64:96] * 80_000 + code[96:]
data["layer_ids"] = bytes(len(data["instructions"]) // 8)
print("ready", flush=True)
native.create_module(hw.sim_params(), [data], "", verify=False)
"""

TUNING = """
import torch, tvm_vsq
from torch import nn

model, x = nn.Sequential(nn.Conv2d(16, 32, 3, padding=1)).eval(), torch.randn(1, 16, 16, 16)
print("ready", flush=True)
while True:
    tvm_vsq.tune(model, example_inputs=(x,), trials=64, progress=False)
"""


def _interrupted(code: str) -> tuple[int, str]:
    """Exit code and stderr of `code`, which is interrupted once it has printed a line."""
    root = Path(__file__).resolve().parents[2]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as nohup does
    with subprocess.Popen(
        [sys.executable, "-c", HEARS_CTRL_C + code],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        signal.signal(signal.SIGINT, before)
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", process.communicate()[1]
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)  # into the run
            process.send_signal(signal.SIGINT)
            return process.wait(60), process.communicate()[1]
        finally:
            process.kill()


@pytest.mark.parametrize(
    "code", first_of([LONG_RUN, LONG_LOAD, LONG_BOUNDS, TUNING], 1), ids=["run", "load", "bounds", "tune"]
)
@pytest.mark.large
def test_ctrl_c_ends_long_work(code: str) -> None:
    status, errors = _interrupted(code)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert status == -signal.SIGINT  # as a shell expects it of a program that Ctrl-C ended
