"""Whether the weights of a quantized module are of the format that it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import ConfigError
from tvm_vsq.formats import VectorFormat


def check_weights(layer: str, weights: npt.NDArray[Any], fmt: VectorFormat) -> None:
    """Raise ConfigError if weight vectors int16[K, ..., CV, V+1] exceed `fmt`."""
    largest = int(np.abs(weights[..., :-1].astype(np.int64)).max(initial=0))
    scale = int(weights[..., -1].max(initial=0))
    if largest > fmt.qmax:
        raise ConfigError(
            f"layer '{layer}': a weight element of magnitude {largest} needs more than "
            f"weight_bits={fmt.bits} (at most {fmt.qmax}); quantize the model for this width"
        )
    if scale > fmt.smax or int(weights[..., -1].min(initial=0)) < 0:
        raise ConfigError(
            f"layer '{layer}': a weight scale of {scale} is outside 0..{fmt.smax}, what weight_scale_bits="
            f"{fmt.scale_bits} can hold; quantize the model for this width"
        )
