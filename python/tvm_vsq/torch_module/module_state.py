"""What a state dict of `FakeQuantized` holds besides its parameters: all that calibration chose."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import tvm

from tvm_vsq.errors import ConfigError, ModelError
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.quantize.config import FORMAT_FIELDS
from tvm_vsq.torch_module.same_network import with_values_of
from tvm_vsq.tvm_compat import IRModule

Weights = dict[str, npt.NDArray[np.float32]]

_FIELDS = (*FORMAT_FIELDS, "scale_product_bits", "accumulator_bits", "guard_bits", "multiplier_bits")
"""The fields of the hardware on which results depend."""


def pack(
    quantized: IRModule, hardware: HardwareConfig, weights: Mapping[str, npt.NDArray[np.float32]]
) -> torch.Tensor:
    """All of it as uint8[n], so that a state dict is of tensors alone."""
    buffer = io.BytesIO()
    state = {
        "quantized": str(tvm.ir.save_json(quantized)),
        "hardware": {field: getattr(hardware, field) for field in _FIELDS},
        "weights": {str(name): torch.from_numpy(array) for name, array in weights.items()},
    }
    torch.save(state, buffer)
    return torch.frombuffer(bytearray(buffer.getbuffer()), dtype=torch.uint8)


def unpack(packed: Any, quantized: IRModule, hardware: HardwareConfig) -> tuple[IRModule, Weights]:
    """The quantized module and initial weights in what `pack` made, for a module that now has the others.

    The number of samples in a run stays that of `quantized`.
    Raises ModelError if they are of another network, or of other formats, and ConfigError for other hardware.
    """
    if not isinstance(packed, torch.Tensor) or packed.dtype != torch.uint8:
        raise ModelError("the extra state must be the uint8 tensor that state_dict() of such a module holds")
    try:
        state = torch.load(io.BytesIO(packed.cpu().numpy().tobytes()), weights_only=True)
        found = tvm.ir.load_json(state["quantized"])
    except Exception as error:  # of many kinds: a damaged archive, a pickle, TVM's JSON
        raise ModelError(f"the extra state is damaged ({type(error).__name__}); save it again") from None
    adopted = with_values_of(quantized, found)
    for field, value in state["hardware"].items():
        if value != getattr(hardware, field):
            raise ConfigError(
                f"the state is of an accelerator with {field}={value}, but this module's, "
                f"'{hardware.label}', has {field}={getattr(hardware, field)}; give fake_quantize the same "
                f"target and quant"
            )
    return adopted, {name: weights.numpy() for name, weights in state["weights"].items()}
