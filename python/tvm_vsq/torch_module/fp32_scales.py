"""Single-level floating-point vector scales (VS-Quant, section 4.1): what integer scales approximate.

They have no integer form, and are evaluated in floating point only.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tvm_vsq.errors import ConfigError
from tvm_vsq.formats import VectorFormat
from tvm_vsq.frontend import QuantizedModel
from tvm_vsq.graph import constant_array, definitions
from tvm_vsq.network import weight_form
from tvm_vsq.network.inputs import inputs_of
from tvm_vsq.quantize.activations.signs import Signs
from tvm_vsq.quantize.config import LayerConfig, QuantConfig
from tvm_vsq.quantize.plan import choose_layers, require_whole_vectors
from tvm_vsq.torch_graph import TorchGraph
from tvm_vsq.torch_graph.batching import run_in_batches
from tvm_vsq.tvm_compat import IRModule


class Fp32Scales(QuantizedModel, nn.Module):
    """A canonical network whose quantized layers read elements of N bits times an fp32 scale a vector.

    The scale of V channels is max|x| / qmax, of weights once, of activations from the data (dynamic); biases,
    residuals and results stay fp32. Activations are unsigned where the graph proves it. Weights are rounded
    to nearest: nothing is fitted to data (no GPTQ, no bias correction). For evaluation: there are no
    parameters.

    module: with its channels in the order to be (`quantizer.prepare`).
    Raises ConfigError for a layer with such scales on one side only, and QuantizationError as `make_plan`.
    """

    def __init__(self, module: IRModule, config: QuantConfig) -> None:
        super().__init__()
        function = module["main"]
        values: Any = definitions(function)
        signs = Signs(function)
        self._inputs = inputs_of(function)
        operands = {}
        for var, (layer, settings) in choose_layers(module, config).items():
            _require_both(layer.name, settings)
            call = values[var]
            if config.strict:
                require_whole_vectors(layer.name, call.args[0], settings.vector_size)
            signed = not signs.is_nonnegative(call.args[0])
            fmt = VectorFormat(settings.activation_bits, None, settings.vector_size, signed)
            form, weight = weight_form(call), torch.from_numpy(constant_array(call.args[1]))
            rows = VectorFormat(settings.weight_bits, None, settings.vector_size)
            kernel = form.restored(quantize_vectors(form.rows(weight), rows), weight.shape)
            operands[var] = lambda x, _w, fmt=fmt, kernel=kernel: (quantize_vectors(x, fmt), kernel)
        self._graph = TorchGraph(function, operands=operands)

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """The network's result for any number of samples, torch tensors or NumPy arrays."""
        return run_in_batches(self._evaluate, self._inputs, inputs, named)

    def to_relax(self) -> IRModule:
        """Raises ConfigError: there is no integer form."""
        raise ConfigError(
            "fp32 vector scales have no integer form and run on no accelerator; quantize with integer ones, "
            "such as 4/4/4/4"
        )

    @torch.no_grad()
    def _evaluate(self, *inputs: Tensor) -> Any:
        return self._graph(*inputs)


def quantize_vectors(x: Tensor, fmt: VectorFormat) -> Tensor:
    """`x` [..., C] rounded to `fmt.bits` with the scale max|x| / qmax in each vector of channels."""
    missing = -x.shape[-1] % fmt.vector_size
    values = torch.unflatten(F.pad(x, (0, missing)), -1, (-1, fmt.vector_size))
    scale = values.abs().amax(-1, keepdim=True) / fmt.qmax
    scale = scale.masked_fill(scale == 0, 1.0)
    rounded = torch.round(values / scale).clamp(fmt.lo, fmt.qmax) * scale
    return rounded.flatten(-2)[..., : x.shape[-1]]


def _require_both(name: str, settings: LayerConfig) -> None:
    if settings.weight_scale_bits != "fp32" or settings.activation_scale_bits != "fp32":
        raise ConfigError(
            f"layer '{name}': quant '{settings.notation}' has fp32 vector scales on one side only; they are "
            "evaluated on both: write 'fp' twice"
        )
