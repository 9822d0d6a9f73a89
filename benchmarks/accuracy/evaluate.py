"""Outputs of a network in fp32, quantized in torch, and in the simulator."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from metrics import sqnr_db
from network import Network
from rows import Row

import tvm_vsq
from tvm_vsq.frontend import import_model

Array = npt.NDArray[np.float32]
_DECIDING_ROOMS = ("frontend", "hardware", "layers", "numerics", "quantize", "transform")


@dataclass(frozen=True)
class Simulated:
    """How the simulator's outputs compare with those of the torch module, over the first `samples` inputs."""

    samples: int
    equal: int  # samples with the same bits
    same_decision: int  # with the same highest output
    sqnr_db: float


@dataclass(frozen=True)
class Result:
    outputs: Array  # what the network's `summarize` keeps
    simulated: Simulated | None = None


class Evaluator:
    """Evaluates rows of one network; keeps each result in a file, so that a broken-off run goes on."""

    def __init__(self, network: Network, directory: Path, simulated_samples: int) -> None:
        self._network, self._simulated_samples = network, simulated_samples
        self._directory = directory / network.name
        self._directory.mkdir(parents=True, exist_ok=True)
        self._fingerprint = _fingerprint(network)
        example = tuple(torch.from_numpy(array[:1]) for array in network.inputs)
        self._module = import_model(network.model, example)

    def fp32(self) -> Result:
        return self._kept(
            "fp32", lambda: Result(self._network.summarize(outputs(self._network.model, self._network)))
        )

    def _config(self, row: Row) -> tvm_vsq.QuantConfig:
        rules = tuple(tvm_vsq.Rule(layers=each, fp32=True) for each in self._network.left_in_fp32)
        return row.config.model_copy(update={"rules": (*row.config.rules, *rules)})

    def quantized(self, row: Row, in_simulator: bool) -> Result:
        hardware = row.hardware
        passes = [f"{hardware.precision_passes} passes"] if hardware.precision_passes > 1 else []
        parts = [self._config(row).model_dump_json(), str(hardware.product_bits), str(in_simulator), *passes]
        name = "_".join(parts)
        return self._kept(name, lambda: self._measure(row, in_simulator))

    def _measure(self, row: Row, in_simulator: bool) -> Result:
        calibration = self._network.calibration
        arguments: dict[str, Any] = {
            "target": row.hardware,
            "quant": self._config(row),
            "calibration": calibration if len(calibration) > 1 else calibration[0],
        }
        raw = outputs(tvm_vsq.fake_quantize(self._module, **arguments).eval(), self._network)
        simulated = self._simulate(raw, arguments) if in_simulator else None
        return Result(self._network.summarize(raw), simulated)

    def _simulate(self, raw: Array, arguments: dict[str, Any]) -> Simulated:
        count = min(self._simulated_samples, len(raw))
        exe = tvm_vsq.compile(self._module, **arguments)
        outputs = np.asarray(exe.run_batch(*(array[:count] for array in self._network.inputs)))
        pairs = list(zip(outputs, raw[:count], strict=True))
        return Simulated(
            samples=count,
            equal=sum(np.array_equal(a, b) for a, b in pairs),
            same_decision=sum(int(a.argmax() == b.argmax()) for a, b in pairs),
            sqnr_db=sqnr_db(outputs, raw[:count]),
        )

    def _kept(self, name: str, measure: Callable[[], Result]) -> Result:
        key = hashlib.sha256(f"{self._fingerprint}{name}{self._simulated_samples}".encode()).hexdigest()[:16]
        path = self._directory / f"{key}.npz"
        if not path.exists():
            result = measure()
            simulated = json.dumps(result.simulated.__dict__ if result.simulated else None)
            partial = path.with_suffix(".partial.npz")
            np.savez(partial, outputs=result.outputs, simulated=simulated)
            partial.rename(path)
        with np.load(path) as file:
            fields = json.loads(str(file["simulated"]))
            return Result(file["outputs"], Simulated(**fields) if fields else None)


def outputs(model: torch.nn.Module, network: Network) -> Array:
    """One sample at a time: the compiled network's batch, so that calibration sums up in the same order."""
    count = len(network.inputs[0])
    with torch.no_grad():
        runs = (model(*(torch.from_numpy(a[i : i + 1]) for a in network.inputs)) for i in range(count))
        return np.concatenate([run.numpy() for run in runs])


def _fingerprint(network: Network) -> str:
    """Of the data and of the sources that decide the outcome."""
    digest = hashlib.sha256()
    for array in (*network.inputs, *network.calibration):
        digest.update(np.ascontiguousarray(array).tobytes())
    root = Path(tvm_vsq.__file__).parent
    for room in _DECIDING_ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
