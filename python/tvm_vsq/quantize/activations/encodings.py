"""How each quantized activation tensor is encoded: what its coarse scale covers, and static vector scales."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import CalibrationError
from tvm_vsq.formats import VectorFormat
from tvm_vsq.graph import static_shape
from tvm_vsq.quantize.activations.limits import Observation, choose_limit
from tvm_vsq.quantize.calibration import Range, observe
from tvm_vsq.quantize.plan import Plan, Reading
from tvm_vsq.tvm_compat import IRModule

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Encoding:
    """format: of its vectors. limit: the magnitude that the coarse scale covers.

    vector_peaks: float64[CV], the largest magnitude in each vector of channels on the calibration data, which
    static scales are to hold; None where scales are dynamic. ones: of how many vectors the scale is 1, so
    that `limit` is what elements alone reach, times the largest scale that there is not.
    """

    format: VectorFormat
    limit: float
    vector_peaks: Array | None = None
    ones: int = 0

    def static_scales(self, gamma: float) -> list[int]:
        """The smallest scales that hold `vector_peaks` when one step is worth `gamma`; empty if dynamic."""
        if self.ones:
            return [1] * self.ones
        if self.vector_peaks is None:
            return []
        needed = np.ceil(self.vector_peaks / (self.format.qmax * gamma))
        return [int(scale) for scale in np.clip(needed, 1, self.format.smax)]


def choose_encodings(
    module: IRModule,
    plan: Plan,
    ranges: Mapping[Any, Range],
    formats: Mapping[Reading, VectorFormat],
    data: Any,
    guard_bits: int,
) -> dict[Reading, Encoding]:
    """The encoding of every tensor that a layer of `plan` reads as vectors.

    Where the model itself says what a layer's input covers, that is its limit. Looks at the data (see
    `tvm_vsq.quantize.data.batches`) once more if a method needs more than ranges.
    Raises CalibrationError for a tensor that such a method can say nothing about, being 0 on all data.
    """
    readings = list(plan.readings)
    seen = {
        reading: Observation(ranges[reading.tensor].absmax, reading.settings.vector_size)
        for reading in readings
        if reading.settings.needs_values
    }
    for reading in seen:
        if ranges[reading.tensor].absmax == 0:
            raise CalibrationError(
                f"'{reading.tensor.name}' is 0 on all calibration data, so that "
                f"{reading.settings.calibration} calibration has nothing to choose from; give data on which "
                "it is not"
            )
    if seen:
        tensors = list(dict.fromkeys(reading.tensor for reading in seen))
        for values in observe(module, tensors, data):
            by_tensor = dict(zip(tensors, values, strict=True))
            for reading, observation in seen.items():
                observation.add(by_tensor[reading.tensor])
    encodings = {}
    for reading in readings:
        limit, peaks = ranges[reading.tensor].absmax, None
        if reading in seen:
            limit = choose_limit(
                seen[reading],
                formats[reading],
                reading.settings.calibration,
                reading.settings.percentile,
                guard_bits,
                reading.tensor.name,
            )
            peaks = seen[reading].vector_peaks if reading.settings.scales == "static" else None
        fmt, limit = formats[reading], reading.limit or limit
        encodings[reading] = Encoding(fmt, limit, peaks)
        if reading.settings.scales == "one":
            ones = fmt.vectors(static_shape(reading.tensor)[-1])
            encodings[reading] = Encoding(fmt, limit * fmt.smax, ones=ones)
    return encodings
