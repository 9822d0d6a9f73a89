"""The node tests that come with the onnx package, through the import, and through `compile` where there is a
layer: how many are right, refused, wrong, or end the process.

    python benchmarks/onnx/node_tests.py                    # all, a few minutes
    python benchmarks/onnx/node_tests.py conv resize -v     # those with a word in their name, one a line

A test counts if it has a float32 input: the first one stays an input, the others become constants. Tests of
the expanded bodies of functions are left out. Exits with the number of tests that are wrong, crash, hang, or
are refused without the name of the operator at fault.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import re
import sys
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

SECONDS = 60
"""For one test; what takes longer hangs."""

TOLERANCE = 1e-3
"""Largest difference over the largest result."""

LEAST_DB = 20.0
"""SQNR of the quantized network."""

BEYOND_8_BITS = {"attention_4d_softcap_neginf_mask_poison"}
"""Not compared after quantization: masked values of 1,000 beside others below 1."""

BAD = ("wrong", "crash", "hang", "unnamed")


@dataclass(frozen=True)
class Outcome:
    """verdict: right, refused, or one of BAD. layers: whether it was compiled too."""

    name: str
    verdict: str
    detail: str = ""
    layers: bool = False


def cases(*operators: str) -> dict[str, Any]:
    """The node tests with a float32 input, by name: all, or those of files in onnx.backend.test.case.node."""
    from onnx import TensorProto
    from onnx.backend.test.case import node
    from onnx.backend.test.case.utils import import_recursive

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # a file's tests are computed when it is imported
        if operators:
            for operator in operators:
                importlib.import_module(f"{node.__name__}.{operator}")
        else:
            import_recursive(node)
    return {
        case.name.removeprefix("test_"): case
        for case in node._NodeTestCases
        if "_expanded" not in case.name
        and any(value.type.tensor_type.elem_type == TensorProto.FLOAT for value in case.model.graph.input)
    }


def with_one_input(case: Any) -> tuple[Any, Any, list[Any]]:
    """The test's model with its first float32 input alone, the array for it, and the results it expects."""
    import numpy as np
    import onnx

    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    inputs, expected = (
        [
            onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value
            for value in values
        ]
        for values in case.data_sets[0]
    )
    kept, x = [], None
    for value, array in zip(model.graph.input, inputs, strict=True):
        is_array = isinstance(array, np.ndarray | np.generic)
        if x is None and is_array and array.dtype == np.float32:
            x = np.asarray(array)
            kept.append(value)
        elif is_array:
            model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), value.name))
        else:
            kept.append(value)  # a sequence, or nothing
    del model.graph.input[:]
    model.graph.input.extend(kept)
    return model, x, expected


def judge(case: Any) -> Outcome:
    """Import and run one test, in this process."""
    import numpy as np
    import tvm
    from tvm import relax

    import tvm_vsq
    from tvm_vsq.importing import import_checked

    name = case.name.removeprefix("test_")
    model, x, expected = with_one_input(case)
    is_layer = False
    try:
        module = import_checked(model, x if len(model.graph.input) == 1 else None)
        is_layer = has_layer(module)
        machine = relax.VirtualMachine(relax.build(module, "llvm"), tvm.cpu())
        results = machine["main"](*([tvm.runtime.tensor(x)] if module["main"].params else []))
        results = [results] if hasattr(results, "numpy") else list(results)
        fault = difference(expected, [result.numpy() for result in results])
        if fault:
            return Outcome(name, "wrong", fault, is_layer)
        if is_layer and np.ptp(x) > 0 and name not in BEYOND_8_BITS:
            quant = tvm_vsq.QuantConfig.parse("8/8/-/-").unfitted()
            exe = tvm_vsq.compile(model, "vsq-accel-int8", example_inputs=x, calibration=x, quant=quant)
            got = exe(x)
            got = list(got) if isinstance(got, tuple | list) else [got]
            for reference, array in zip(expected, got, strict=True):
                noise = np.square(np.asarray(reference, float) - array).sum()
                decibels = 10 * np.log10(np.square(np.asarray(reference, float)).sum() / max(noise, 1e-30))
                if decibels < LEAST_DB:
                    return Outcome(name, "wrong", f"{decibels:.1f} dB after compile", is_layer)
        return Outcome(name, "right", layers=is_layer)
    except tvm_vsq.VsqError as error:
        (node,) = case.model.graph.node
        names = [node.op_type, "input '", *(f"'{name}'" for name in node.output)]
        named = any(name in str(error) for name in names)
        return Outcome(name, "refused" if named else "unnamed", str(error), is_layer)
    except Exception as error:  # anything else is what must not be
        where = traceback.extract_tb(error.__traceback__)[-1]
        return Outcome(name, "crash", f"{type(error).__name__} in {where.name}: {error}", is_layer)


def has_layer(module: Any) -> bool:
    """Whether there is a convolution or matrix product that an accelerator takes."""
    from tvm_vsq.graph import definitions
    from tvm_vsq.network import refusal, source_of

    values = definitions(module["main"]).values()
    return any(source.weights and not refusal(value) for value in values if (source := source_of(value)))


def difference(expected: list[Any], got: list[Any]) -> str:
    """How results differ; empty if they do not."""
    import numpy as np

    if len(expected) != len(got):
        return f"{len(got)} results instead of {len(expected)}"
    for index, (a, b) in enumerate(zip(expected, got, strict=True)):
        a = np.asarray(a)
        if (a.shape, a.dtype) != (b.shape, b.dtype):
            return f"result {index} is {b.dtype} {list(b.shape)} instead of {a.dtype} {list(a.shape)}"
        if a.dtype.kind != "f":
            if not np.array_equal(a, b):
                return f"result {index} differs in {np.count_nonzero(a != b)} of {a.size} elements"
            continue
        finite = np.isfinite(a)
        if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
            return f"result {index} differs where it is not finite"
        error = float(np.abs(a[finite] - b[finite]).max(initial=0))
        largest = float(np.abs(a[finite]).max(initial=0))
        if not error <= TOLERANCE * largest + 1e-7:
            return f"result {index} differs by {error:.2g}, its largest element is {largest:.2g}"
    return ""


def work(connection: Connection) -> None:
    """A worker process: names in, outcomes out."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what native code prints before it ends the process
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(1)
    known = cases()
    connection.send(None)
    while True:
        name = connection.recv()
        if name is None:
            return
        connection.send(judge(known[name]))


class Worker:
    """A process that judges one test after another, and may be replaced at any time."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self._process = context.Process(target=work, args=(other,), daemon=True)
        self._process.start()
        other.close()
        self.name, self.deadline = "", time.monotonic() + 2 * SECONDS  # it loads first

    def give(self, name: str | None) -> None:
        self.name, self.deadline = name or "", time.monotonic() + SECONDS
        self.connection.send(name)

    def end(self) -> int | None:
        """Stop it; its exit code if it had ended by itself."""
        self._process.join(0.2)
        code = self._process.exitcode
        self._process.kill()
        return code


def run(names: list[str], jobs: int) -> list[Outcome]:
    """Judge the tests in `jobs` processes."""
    waiting, outcomes = list(reversed(names)), []
    workers = [Worker() for _ in range(min(jobs, len(names)))]
    while workers:
        ready = wait([worker.connection for worker in workers], timeout=1)
        for worker in list(workers):
            outcome = None
            if worker.connection in ready:
                try:
                    outcome = worker.connection.recv()
                except EOFError:
                    outcome = Outcome(worker.name, "crash", f"the process ended with {worker.end()}")
            elif time.monotonic() > worker.deadline:
                worker.end()
                outcome = Outcome(worker.name, "hang", f"no answer in {SECONDS} s")
            else:
                continue
            if outcome is not None:
                outcomes.append(outcome)
                if outcome.verdict == "hang" or outcome.detail.startswith("the process ended"):
                    workers[workers.index(worker)] = worker = Worker()
                    continue
            if waiting:
                worker.give(waiting.pop())
            else:
                worker.give(None)
                workers.remove(worker)
    return sorted(outcomes, key=lambda outcome: outcome.name)


def reason(message: str) -> str:
    """A refusal without the names of nodes and tensors and without numbers, to be counted."""
    return re.sub(r"'[^']*'", "'..'", re.sub(r"\b\d+\b", "#", message.splitlines()[0]))[:150]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="parts of names")
    parser.add_argument("-v", "--verbose", action="store_true", help="print every test")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="processes")
    arguments = parser.parse_args()
    known = cases()
    names = [n for n in known if not arguments.words or any(word in n for word in arguments.words)]
    outcomes = run(names, arguments.jobs)
    for outcome in outcomes:
        if arguments.verbose or outcome.verdict in BAD:
            first = (outcome.detail.splitlines() or [""])[0]
            print(f"{outcome.verdict:8s} {outcome.name}: {first[:200]}")
    refused = [outcome for outcome in outcomes if outcome.verdict == "refused"]
    print("\nrefused:")
    for text, count in Counter(reason(outcome.detail) for outcome in refused).most_common():
        print(f"{count:5d}  {text}")
    counts = Counter(outcome.verdict for outcome in outcomes)
    compiled = sum(outcome.layers and outcome.verdict == "right" for outcome in outcomes)
    print(
        f"\n{len(outcomes)} node tests: " + ", ".join(f"{counts[v]} {v}" for v in ("right", "refused", *BAD))
    )
    print(f"{compiled} of those that are right have a layer and were compiled")
    return sum(counts[verdict] for verdict in BAD)


if __name__ == "__main__":
    sys.exit(min(main(), 255))
