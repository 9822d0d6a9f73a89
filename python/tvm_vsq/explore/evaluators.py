"""What can be measured of a network without code of the user's: answers that are right, and errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import InputError
from tvm_vsq.explore.keys import digest

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Top1:
    """The part of samples whose largest result is that of their label: "accuracy", 0..1.

    inputs: what `run_batch` takes, an array, a tuple or a mapping. labels: integers [samples].
    """

    inputs: Any
    labels: Array

    @property
    def digest(self) -> str:
        """Of the data (`explore.keys.function_digest`)."""
        return digest("top1", _bytes(self.inputs), self.labels.tobytes())

    def __call__(self, network: Any) -> float:
        """Raises InputError where results are not [samples, classes]."""
        scores = _first(_run(network, self.inputs))
        if scores.ndim != 2 or len(scores) != len(self.labels):
            raise InputError(
                f"results are {list(scores.shape)}, and there are {len(self.labels)} labels: accuracy is of "
                "results [samples, classes], a label each"
            )
        return float((scores.argmax(1) == self.labels).mean())


@dataclass(frozen=True)
class RelativeError:
    """How far results are from `expected`, those of the fp32 network: "relative_error", in the 2-norm of all.

    inputs: as for Top1.
    """

    inputs: Any
    expected: tuple[Array, ...]

    @property
    def digest(self) -> str:
        """Of the data (`explore.keys.function_digest`)."""
        return digest("relative error", _bytes(self.inputs))

    def __call__(self, network: Any) -> dict[str, float]:
        """0 for the fp32 network."""
        found = _run(network, self.inputs)
        pairs = list(zip(_all(found), self.expected, strict=True))
        error = sum(float(np.square(a.astype(np.float64) - b).sum()) for a, b in pairs)
        signal = sum(float(np.square(b.astype(np.float64)).sum()) for _, b in pairs)
        return {"relative_error": float(np.sqrt(error / signal)) if signal else float(error > 0)}


def _run(network: Any, inputs: Any) -> Any:
    return network.run_batch(*inputs) if isinstance(inputs, tuple) else network.run_batch(inputs)


def _all(results: Any) -> tuple[Array, ...]:
    return results if isinstance(results, tuple) else (results,)


def _first(results: Any) -> Array:
    return _all(results)[0]


def _bytes(inputs: Any) -> bytes:
    arrays = inputs.values() if isinstance(inputs, dict) else _all(inputs)
    return b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
