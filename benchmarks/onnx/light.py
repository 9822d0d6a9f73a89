"""The topologies that come with the onnx package as its "light" models, with random weights: imported,
checked beside onnxruntime, quantized to 8 bits, compiled and run.

    python benchmarks/onnx/light.py                          # all nine, some minutes; up to 7 GB of memory
    python benchmarks/onnx/light.py squeezenet shufflenet    # those with a word in their name

They are networks of the ONNX model zoo (opset 9, IR version 3) whose weights were taken out: for each stands
a ConstantOfShape. Seeded random numbers take their place and that of what was left, so the shapes are those
of the networks and accuracy would mean nothing. Batch normalization gets the statistics of a random input, as
training would leave them: otherwise magnitudes grow from block to block until Softmax gives 0 and 1 alone.
Each runs in a process of its own. Exits with the number of
networks that are wrong, crash, hang, or are refused without the name of a node.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SECONDS = 900
"""For one network; what takes longer hangs."""

SAMPLES = 3
"""Inputs of the calibration, from the standard normal distribution."""

LEAST_DB = 10.0
"""SQNR of the quantized network's results; those of a wrong one are 0 dB or less."""

NOISE = 0.01
"""Standard deviation of noise in an input of 1: 40 dB."""

FACTORS = {("BatchNormalization", 1), ("Mul", 1)}
"""By operator and operand: from 0.5 to 1.5."""

WEIGHTS = {("Conv", 1), ("Gemm", 1)}
"""[outputs, inputs, ...]: normal, of variance 2 / inputs (He et al., ICCV 2015). All else, which is added, is
normal of variance 0.01."""


@dataclass(frozen=True)
class Outcome:
    """What came of one network. verdict: right, refused, wrong, crash, hang or unnamed; detail: why, if not
    right.

    layers: on the accelerator. cpu: operators on the CPU, most work first. cpu_macs: part of all
    multiply-accumulates that they do. difference: of the import, as the check states it. sqnr_db: of the
    results against onnxruntime in fp32. noise_db: the same for fp32 results of an input with noise of NOISE,
    which tells how much a network with such weights magnifies.
    """

    name: str
    verdict: str = "right"
    detail: str = ""
    opset: int = 0
    nodes: int = 0
    layers: int = 0
    cpu: str = ""
    cpu_macs: float = 0.0
    difference: str = "-"
    noise_db: float = math.nan
    sqnr_db: float = math.nan
    import_seconds: float = math.nan
    compile_seconds: float = math.nan
    gigabytes: float = math.nan


def paths() -> dict[str, Path]:
    """The files by the name of the network, those with least weights first."""
    folder = Path(onnx.__file__).parent / "backend/test/data/light"
    found = {path.stem.removeprefix("light_"): path for path in folder.glob("light_*.onnx")}
    return dict(sorted(found.items(), key=lambda item: weights_of(onnx.load(item[1]))))


def weights_of(model: onnx.ModelProto) -> int:
    """Elements of all constants."""
    return sum(math.prod(shape) for shape in constant_shapes(model.graph).values())


def constant_shapes(graph: onnx.GraphProto) -> dict[str, list[int]]:
    """The shapes of all fp32 constants, also of those that ConstantOfShape makes, by name."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    shapes = {
        name: list(tensor.dims) for name, tensor in constants.items() if tensor.data_type == TensorProto.FLOAT
    }
    made = [node for node in graph.node if node.op_type == "ConstantOfShape"]
    return shapes | {
        node.output[0]: numpy_helper.to_array(constants[node.input[0]]).tolist() for node in made
    }


def with_random_weights(model: onnx.ModelProto, seed: int = 0) -> onnx.ModelProto:
    """The model with random fp32 constants, all of them initializers (and inputs, as before IR version 4)."""
    random = np.random.default_rng(seed)
    shapes = constant_shapes(model.graph)
    readers = {name: (node, at) for node in model.graph.node for at, name in enumerate(node.input)}
    filled = onnx.ModelProto()
    filled.CopyFrom(model)
    graph = filled.graph
    dropped = {node.input[0] for node in graph.node if node.op_type == "ConstantOfShape"} | set(shapes)
    for field, kept in (
        (graph.node, [node for node in graph.node if node.op_type != "ConstantOfShape"]),
        (graph.initializer, [tensor for tensor in graph.initializer if tensor.name not in dropped]),
        (graph.input, [value for value in graph.input if value.name not in dropped]),
    ):
        copies = [type(entry).FromString(entry.SerializeToString()) for entry in kept]
        del field[:]
        field.extend(copies)
    for name, shape in shapes.items():
        array = random_constant(random, role(name, readers), shape)
        graph.initializer.append(numpy_helper.from_array(array, name))
        graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    measure_statistics(filled, sample(filled, 1, seed=3))
    return filled


def measure_statistics(model: onnx.ModelProto, x: np.ndarray) -> None:
    """Set means and variances of batch normalization, in place, to those that its inputs have for `x`.

    All in one inference: with batch statistics, batch normalization of one sample is instance normalization.
    """
    normal = onnx.ModelProto()
    normal.CopyFrom(model)
    found = [node for node in normal.graph.node if node.op_type == "BatchNormalization"]
    if not found:
        return
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    del normal.graph.output[:]
    for node in found:
        node.op_type = "InstanceNormalization"
        normal.graph.output.append(onnx.ValueInfoProto(name=node.input[0]))
    statistics = [list(node.input[3:]) for node in found]
    for node in found:
        del node.input[3:]
    for names, value in zip(statistics, run_onnx(normal, x), strict=True):
        for name, array in zip(names, (value.mean((0, 2, 3)), value.var((0, 2, 3))), strict=True):
            tensors[name].CopyFrom(numpy_helper.from_array(array, name))


def role(name: str, readers: dict[str, tuple[onnx.NodeProto, int]]) -> tuple[str, int]:
    """The operator that computes with a constant, and as which operand."""
    node, at = readers.get(name, (onnx.NodeProto(), 0))
    while node.op_type in ("Reshape", "Unsqueeze"):
        node, at = readers[node.output[0]]
    return node.op_type, at


def random_constant(random: np.random.Generator, use: tuple[str, int], shape: list[int]) -> np.ndarray:
    if use in FACTORS:
        return random.uniform(0.5, 1.5, shape).astype(np.float32)
    deviation = math.sqrt(2 / math.prod(shape[1:])) if use in WEIGHTS else 0.1
    return random.standard_normal(shape, np.float32) * np.float32(deviation)


def sample(model: onnx.ModelProto, count: int, seed: int) -> np.ndarray:
    """Inputs of the model's only input, side by side along axis 0."""
    constants = {tensor.name for tensor in model.graph.initializer}
    (value,) = (value for value in model.graph.input if value.name not in constants)
    shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    return np.random.default_rng(seed).standard_normal((count * shape[0], *shape[1:]), np.float32)


def run_onnx(model: onnx.ModelProto, x: np.ndarray) -> list[np.ndarray]:
    """The results, in fp32, by onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; it warns of constants that nothing reads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    constants = {tensor.name for tensor in model.graph.initializer}
    (name,) = (value.name for value in session.get_inputs() if value.name not in constants)
    return session.run(None, {name: x})


def logits(probabilities: np.ndarray) -> np.ndarray:
    """What Softmax was given, less its mean: Softmax magnifies any error as the logits' spread, which is
    an accident of random weights."""
    found = np.log(probabilities.astype(float))
    return found - found.mean()


def sqnr_db(expected: np.ndarray, got: np.ndarray) -> float:
    noise = np.square(expected.astype(float) - got).sum()
    return 10 * math.log10(np.square(expected, dtype=float).sum() / max(noise, 1e-30))


def judge(name: str, model: onnx.ModelProto) -> Outcome:
    """Import, compile and run one network, in this process."""
    import tvm_vsq
    from tvm_vsq.importing import import_checked, import_note

    known: dict[str, Any] = {"opset": model.opset_import[0].version, "nodes": len(model.graph.node)}
    try:
        start = time.perf_counter()
        module = import_checked(model)
        known["import_seconds"] = time.perf_counter() - start
        known["difference"] = import_note(module).removesuffix(" (2-norm)").rsplit(" ", 1)[1]
        del module
        start = time.perf_counter()
        exe = tvm_vsq.compile(
            model,
            "vsq-accel-int8",
            quant=tvm_vsq.QuantConfig.parse("8/8/-/-").unfitted(),  # weights are random
            calibration=sample(model, SAMPLES, seed=1),
            check_import=False,  # it was
        )
        known["compile_seconds"] = time.perf_counter() - start
        x = sample(model, 1, seed=2)
        got = exe(x)
        work = exe.timing().not_counted
        known["layers"] = len(exe.metadata.layers)
        known["cpu"] = ", ".join(f"{kind.count} {kind.op.removeprefix('nn.')}" for kind in work.operators)
        known["cpu_macs"] = work.macs_share
        (expected,) = run_onnx(model, x)
        if got.shape != expected.shape:
            return Outcome(name, "wrong", f"the result is {got.shape}, not {expected.shape}", **known)
        (noisy,) = run_onnx(model, x + np.float32(NOISE) * sample(model, 1, seed=4))
        if model.graph.node[-1].op_type == "Softmax":
            expected, noisy, got = map(logits, (expected, noisy, got))
        known["noise_db"], known["sqnr_db"] = sqnr_db(expected, noisy), sqnr_db(expected, got)
        if not known["sqnr_db"] >= LEAST_DB:
            return Outcome(name, "wrong", f"{known['sqnr_db']:.1f} dB after compile", **known)
        return Outcome(name, **known)
    except tvm_vsq.VsqError as error:
        names = {name for node in model.graph.node for name in (node.name, *node.output) if name}
        verdict = "refused" if any(f"'{name}'" in str(error) for name in names) else "unnamed"
        return Outcome(name, verdict, str(error), **known)
    except Exception as error:  # anything else is what must not be
        where = traceback.extract_tb(error.__traceback__)[-1]
        return Outcome(name, "crash", f"{type(error).__name__} in {where.name}: {error}", **known)


def judge_apart(name: str) -> Outcome:
    """The same, in a process of its own."""
    command = [sys.executable, __file__, "--here", name]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return Outcome(name, "hang", f"no answer in {SECONDS} s")
    if done.returncode:
        return Outcome(name, "crash", f"the process ended with {done.returncode}")
    return Outcome(**json.loads(done.stdout.splitlines()[-1]))


def table(outcomes: list[Outcome]) -> Any:
    from rich.table import Table

    title = f"light models of onnx {onnx.__version__}, 8/8/-/-, shapes only: the weights are random"
    found = Table(title=title, title_justify="left")
    found.add_column("network", no_wrap=True)
    for heading in ("opset", "nodes", "layers", "CPU MACs", "import error", "noise dB", "SQNR dB"):
        found.add_column(heading, justify="right")
    for heading in ("import s", "compile s", "GB"):
        found.add_column(heading, justify="right")
    for o in outcomes:
        decibels, costs = (
            ["-" if math.isnan(number) else f"{number:.1f}" for number in numbers]
            for numbers in ((o.noise_db, o.sqnr_db), (o.import_seconds, o.compile_seconds, o.gigabytes))
        )
        counts = (str(o.opset), str(o.nodes), str(o.layers), f"{o.cpu_macs:.1%}", o.difference)
        found.add_row(o.name, *counts, *decibels, *costs)
    return found


def main() -> int:
    from rich.console import Console

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="parts of names; default: all")
    parser.add_argument("--here", action="store_true", help="run in this process, and print JSON")
    arguments = parser.parse_args()
    files = paths()
    names = [n for n in files if not arguments.words or any(word in n for word in arguments.words)]
    if arguments.here:
        for name in names:
            outcome = judge(name, with_random_weights(onnx.load(files[name])))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            print(json.dumps(asdict(outcome) | {"gigabytes": peak}))
        return 0
    outcomes = []
    for name in names:
        outcomes.append(judge_apart(name))
        print(f"{name}: {outcomes[-1].verdict}", file=sys.stderr)
    console = Console(width=120)
    console.print(table(outcomes))
    for o in outcomes:
        said = f"on the CPU: {o.cpu}" if o.verdict == "right" else f"{o.verdict}: {o.detail}"
        console.print(f"{o.name}, {said}", markup=False, highlight=False)
    return sum(outcome.verdict not in ("right", "refused") for outcome in outcomes)


if __name__ == "__main__":
    sys.exit(main())
