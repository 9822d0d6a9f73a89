"""Milliseconds of bit-exact simulation beside ONNX Runtime in fp32 and the scalar simulator: the same layers
on the same cores in one run; and how much memory a simulation takes.

ResNet-50 (224 x 224) and the 72 linear layers of BERT-base's encoder (128 tokens), random weights. "Chip" is
what the accelerator runs: all layers. "Whole" is `Executable.profile()`, with TVM's
CPU operators, against the whole network in ONNX Runtime. ONNX Runtime's result is compared with torch's, the
scalar simulator's with ours.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import scalar
import torch
from models import SHAPES, network, onnx_graphs, programs, quantized
from rich.console import Console
from rich.table import Table

import tvm_vsq
from tvm_vsq.hardware import HardwareConfig, list_targets, load_hardware
from tvm_vsq.pipeline import build_executable
from tvm_vsq.runtime import native
from tvm_vsq.schedule import shipped_database

THREADS = 2
BATCH = 8
MEMORY_ALLOWANCE_MIB = 512


def timed(function: Callable[[], object], repeat: int) -> list[float]:
    """Milliseconds of each of `repeat` calls, after one that does not count."""
    function()
    return [_once(function) for _ in range(repeat)]


def _once(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return (time.perf_counter() - start) * 1e3


class Report:
    def __init__(self) -> None:
        self._table = Table(title="One inference: milliseconds on the host", title_justify="left")
        for heading in ("network", "target", "what", "part"):
            self._table.add_column(heading, no_wrap=True)
        for heading in ("min ms", "median ms", "x fp32", "GMAC/s"):
            self._table.add_column(heading, justify="right", no_wrap=True)

    def add(
        self,
        name: str,
        target: str,
        what: str,
        part: str,
        times: Sequence[float],
        base: dict[str, list[float]],
        macs: int | None,
    ) -> None:
        self._table.add_row(
            name,
            target,
            what,
            part,
            f"{min(times):,.1f}",
            f"{statistics.median(times):,.1f}",
            f"{min(times) / min(base[part]):.2f}",
            "-" if macs is None else f"{macs / min(times) / 1e6:.2f}",
        )

    def print(self) -> None:
        Console(width=120).print(self._table)


def fp32(name: str, model: Any, repeat: int) -> dict[str, list[float]]:
    """Times of ONNX Runtime for the "whole" network, and for the parts that the "chip" runs together."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    shapes, graphs = onnx_graphs(name, model)
    times = {}
    for part, graph in graphs.items():  # one session at a time: idle threads of another one would spin
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        x = np.random.default_rng(0).standard_normal(shapes[part], dtype=np.float32)
        if part == "whole":
            with torch.no_grad():
                expected = model(torch.from_numpy(x)).numpy()
            allowed = 0.01 * np.abs(expected).max()
            np.testing.assert_allclose(session.run(None, {"x": x})[0], expected, rtol=0.01, atol=allowed)
        times[part] = timed(partial(session.run, None, {"x": x}), repeat)
        del session
    parts = [times[part] for part in times if part != "whole"] or [times["whole"]]
    return {"whole": times["whole"], "chip": [sum(runs) for runs in zip(*parts, strict=True)]}


def measure(
    name: str, targets: Sequence[str], repeat: int, with_scalar: bool, report: Report
) -> list[list[str]]:
    """Add the rows of one network; returns rows about memory."""
    model, sample = network(name)
    base: dict[str, list[float]] = {"chip": [], "whole": []}
    rows, memory = [], []
    for target in targets:
        hardware = load_hardware(target)
        module = quantized(model, sample, hardware)
        executable = build_executable(module, hardware, shipped_database(hardware))
        macs = executable.profile(sample).macs
        found = programs(module, hardware)
        accelerator = native.create_module(hardware.sim_params(), found, "{}")
        rng = np.random.default_rng(0)
        inputs = [scalar.inputs_of(hardware, program, rng) for program in found]
        outputs = [scalar.outputs_of(hardware, program) for program in found]

        # Interleaved, so that whatever else the machine does meets all of them.
        for part, times in fp32(name, model, repeat).items():
            base[part] += times
        run = partial(_run, accelerator, found, inputs, outputs)
        rows.append((target, "bit-exact", "chip", timed(run, repeat), macs))
        rows.append((target, "bit-exact", "whole", timed(partial(executable.profile, sample), repeat), macs))
        batch = np.repeat(sample, BATCH, axis=0)
        for threads in (1, THREADS):
            times = timed(partial(executable.run_batch, batch, threads=threads), max(1, repeat // BATCH))
            what = f"run_batch of {BATCH}, {threads} threads"
            rows.append((target, what, "whole", [total / BATCH for total in times], macs))
        if with_scalar:
            start = time.perf_counter()
            twins = [scalar.run(hardware, program, x) for program, x in zip(found, inputs, strict=True)]
            rows.append((target, "scalar simulator", "chip", [(time.perf_counter() - start) * 1e3], macs))
            if not all(map(np.array_equal, chain(*outputs), chain(*twins))):
                sys.exit(f"{name} on {target}: the two simulators differ")
        rows.append(
            (target, "timing, program as bytes", "chip", timed(partial(_time, hardware, found), repeat), None)
        )
        for verify in (False, True):
            make = partial(native.create_module, hardware.sim_params(), found, "{}", verify=verify)
            rows.append((target, f"load, verify={verify}", "chip", timed(make, repeat), None))
        accelerator["set_functional"](False)
        rows.append((target, "timing, loaded module", "chip", timed(run, repeat), None))
        rows.append((target, "exe.timing(), a Profile", "whole", timed(executable.timing, repeat), None))
        memory.append(_memory_row(name, target, executable))
    for part, times in base.items():
        report.add(name, "fp32", f"ONNX Runtime, {THREADS} threads", part, times, base, macs)
    for target, what, part, times, count in rows:
        report.add(name, target, what, part, times, base, count)
    return memory


def _run(accelerator: Any, found: Any, inputs: Any, outputs: Any) -> None:
    for program, x, y in zip(found, inputs, outputs, strict=True):
        accelerator[program["name"]](*x, *y)


def _time(hardware: HardwareConfig, found: Any) -> None:
    for program in found:
        names = program["layer_names"]
        native.simulate_timing(
            hardware.sim_params(), program["instructions"], program["layer_ids"], len(names)
        )


def _memory_row(name: str, target: str, executable: Any) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.so")
        executable.save(path)
        command = [sys.executable, __file__, "--memory-of", str(path), "--models", name]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        artifact = path.stat().st_size / 2**20
    allowed = artifact + MEMORY_ALLOWANCE_MIB
    verdict = "yes" if found["peak_mib"] <= allowed else "NO"
    return [name, target, f"{artifact:.1f}", f"{found['peak_mib']:.1f}", f"{allowed:.1f}", verdict]


def _status(key: str) -> float:
    """A field of /proc/self/status, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1]) / 1024


def memory_of(path: str, name: str) -> None:
    """In a process of its own: by how much loading an artifact and running it raises the resident set."""
    sample = np.random.default_rng(0).standard_normal(SHAPES[name], dtype=np.float32)
    native.library()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from what is resident now
    before = _status("VmRSS")
    tvm_vsq.load(path).profile(sample)
    print(json.dumps({"peak_mib": _status("VmHWM") - before}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", nargs="+", default=list_targets())
    parser.add_argument("--models", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument(
        "--repeat", type=int, default=5, help="runs that count; the scalar simulator runs once"
    )
    parser.add_argument("--scalar", nargs="*", default=["resnet50"], help="networks for the scalar simulator")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        memory_of(arguments.memory_of, arguments.models[0])
        return
    for name in arguments.models:
        report = Report()
        memory = measure(name, arguments.targets, arguments.repeat, name in arguments.scalar, report)
        cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
        print(f"{cores} cores, load average at the end {load:.1f}, ONNX Runtime {onnxruntime.__version__}")
        report.print()
        table = Table(title="Memory of one process: load, then one inference", title_justify="left")
        for heading in ("network", "target", "artifact MiB", "peak increase MiB", "allowed MiB", "within"):
            table.add_column(heading, justify="left" if heading in ("network", "target") else "right")
        for row in memory:
            table.add_row(*row)
        Console(width=120).print(table)


if __name__ == "__main__":
    main()
