"""A small MNIST network, quantized to 4 bits in blocks of 16 by NVIDIA Model-Optimizer and by torchao,
exported to ONNX by each, compiled and simulated here; docs/onnx.md has a run and explains the columns.

They get an environment of their own under build/, made at the first use, which finds torch in this one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import sysconfig
import tempfile
import venv
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import tvm
from rich.console import Console
from rich.table import Table

import tvm_vsq
from tvm_vsq.export.layers import quantized_layers
from tvm_vsq.frontend import import_model
from tvm_vsq.frontend.given import given_weights

FILES = {
    "fp32": "fp32 model",
    "modelopt_torch": "modelopt.torch, INT4 blockwise",
    "modelopt_onnx": "modelopt.onnx, INT4 rtn_dq",
    "torchao": "torchao, Intx int4 PerGroup",
    "modelopt_int8": "modelopt.torch, INT8 default",
}
TARGETS = {"modelopt_int8": ("vsq-accel-int8",)}
OTHERWISE = ("vsq-accel-w4a8", "vsq-accel")
BATCH = 100
# what Model-Optimizer imports without requiring it follows its name
REQUIREMENTS = (
    "nvidia-modelopt==0.47.0",
    "huggingface_hub",
    "datasets",
    "requests",
    "onnx_graphsurgeon",
    "onnxconverter-common",
    "onnxslim",
    "polygraphy",
    "cppimport",
    "lief",
    "onnxscript==0.7.2",
    "torchao==0.18.0",
)


def environment() -> str:
    folder = Path(__file__).resolve().parents[2] / "build" / "venv-onnx"
    python, stamp = folder / "bin" / "python", folder / "complete"
    if not stamp.is_file():
        venv.create(folder, with_pip=True, clear=True)
        scheme = {"base": str(folder), "platbase": str(folder)}
        packages = Path(sysconfig.get_path("purelib", vars=scheme))
        (packages / "ours.pth").write_text(sysconfig.get_path("purelib") + "\n")
        subprocess.run([python, "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)
        stamp.touch()
    return str(python)


def sqnr_db(reference: np.ndarray, value: np.ndarray) -> float:
    noise = float(np.square(reference.astype(np.float64) - value).sum())
    return 10 * float(np.log10(np.square(reference.astype(np.float64)).sum() / max(noise, 1e-300)))


def run_fp32(module: Any, images: np.ndarray) -> np.ndarray:
    """The imported graph on the CPU, before any quantization of ours."""
    machine = tvm.relax.VirtualMachine(tvm.relax.build(module, "llvm"), tvm.cpu())
    batches = np.split(images, len(images) // BATCH)
    return np.concatenate([machine["main"](tvm.runtime.tensor(batch)).numpy() for batch in batches])


def run_onnxruntime(path: Path, images: np.ndarray) -> np.ndarray:
    """Node by node: optimized, blocked weights become MatMulNBits, which rounds activations to 8 bits."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (x,) = session.get_inputs()
    return np.concatenate(
        [session.run(None, {x.name: part})[0] for part in np.split(images, len(images) // BATCH)]
    )


def row(path: Path, title: str, target: str, arrays: dict[str, np.ndarray]) -> list[str]:
    images, labels = arrays["images"], arrays["labels"]
    module = import_model(path)
    given = given_weights(module)
    imported = run_fp32(module, images)
    theirs = arrays[path.stem] if path.stem in arrays else run_onnxruntime(path, images)
    quantized = tvm_vsq.quantize_model(path, target, calibration=arrays["calibration"])
    layers = {layer.name: layer for layer in quantized_layers(quantized).values()}
    kept = [name for name, found in given.items() if np.array_equal(layers[name].elements, found.elements)]
    weights = [sqnr_db(given[name].restored(), layers[name].restored()) for name in kept]
    exe = tvm_vsq.compile(path, target, calibration=arrays["calibration"])
    batches = np.split(images, len(images) // BATCH)
    outputs = np.concatenate([exe(batch) for batch in batches])
    if not np.array_equal(outputs[:BATCH], exe.reference(batches[0])):
        sys.exit(f"{title}: the simulator and the reference differ")
    accuracy = [f"{100 * (values.argmax(1) == labels).mean():.1f}" for values in (theirs, outputs)]
    return [
        title,
        exe.hardware.notation,
        f"{np.abs(imported - theirs).max() / np.abs(theirs).max():.0e}",
        f"{len(kept)} of {len(layers)}",
        _range(weights),
        f"{sqnr_db(theirs, outputs):.1f}",
        *accuracy,
    ]


def _range(decibels: list[float]) -> str:
    if not decibels:
        return "-"
    # above: float32 rounding of the products
    return "exact" if min(decibels) > 140 else f"{min(decibels):.1f} to {max(decibels):.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", help="a Python that has both packages, instead of one under build/")
    python = parser.parse_args().python or environment()
    worker = str(Path(__file__).with_name("worker.py"))
    with tempfile.TemporaryDirectory() as name:
        # in a folder of its own: Model-Optimizer compiles an extension, with setuptools, where it runs
        run = subprocess.run([python, worker, name], capture_output=True, text=True, cwd=name)
        if run.returncode:
            sys.exit(f"worker.py failed:\n{run.stderr[-2000:]}")
        said = json.loads(run.stdout.splitlines()[-1])
        arrays = dict(np.load(Path(name) / "arrays.npz"))
        versions = ", ".join(f"{package} {version}" for package, version in said["versions"].items())
        table = Table(title=f"{versions}; 1,000 held-out digits", title_justify="left")
        for heading in ("exported by", "W/A/ws/as"):
            table.add_column(heading)
        headings = ("import error", "layers kept", "scales dB", "output dB", "theirs %", "simulated %")
        for heading in headings:
            table.add_column(heading, justify="right")
        messages: dict[str, None] = {}
        for file, title in FILES.items():
            path = Path(name) / f"{file}.onnx"
            if file in said["errors"] or not path.is_file():
                print(f"{title}: {said['errors'].get(file, 'no file')}")
                continue
            onnx.checker.check_model(str(path))
            for target in TARGETS.get(file, OTHERWISE):
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always", tvm_vsq.VsqWarning)
                    table.add_row(*row(path, title, target, arrays))
                found = [w for w in caught if issubclass(w.category, tvm_vsq.VsqWarning)]
                messages.update(dict.fromkeys(f"{title}, {target}: {w.message}" for w in found))
        Console(width=132).print(table)
        print(*messages, sep="\n")


if __name__ == "__main__":
    main()
