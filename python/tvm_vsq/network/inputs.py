"""What a network takes: names, shapes, dtypes and indices of its inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from tvm_vsq.arguments import Range
from tvm_vsq.graph import dtype_of, static_shape
from tvm_vsq.network.indices import index_ranges
from tvm_vsq.network.masks import masks

DTYPES = ("float32", "int64", "int32", "bool")
"""Of inputs. Token ids are integers, masks integers, booleans or numbers."""

INPUTS_ARE = f"{', '.join(DTYPES[:-1])} or {DTYPES[-1]}"


@dataclass(frozen=True)
class Input:
    """One input of a network. range: what an integer may be, as it looks up something; None if any.
    is_mask: whether it may be minus infinity."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    range: Range | None = None
    is_mask: bool = False

    def sample(self, seed: int) -> npt.NDArray[Any]:
        """Random values: standard normal, or integers that are allowed; 0 and 1 where all are (masks)."""
        rng = np.random.default_rng(seed)
        if self.dtype == "float32":
            return rng.standard_normal(self.shape, np.float32)
        low, high = self.range or (0, 1)
        return rng.integers(low, high + 1, self.shape).astype(self.dtype)


def inputs_of(function: relax.Function) -> list[Input]:
    """The inputs of a network of static shapes, in order."""
    ranges, hiding = index_ranges(function), masks(function)
    return [
        Input(str(param.name), static_shape(param), dtype_of(param), ranges.get(param), param in hiding)
        for param in function.params
    ]
