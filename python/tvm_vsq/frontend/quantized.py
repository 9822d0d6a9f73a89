"""Models that are quantized already: they are compiled as they are, and never quantized again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from tvm import relax

from tvm_vsq.errors import ConfigError, ModelError
from tvm_vsq.frontend.from_relax import check_straight_line
from tvm_vsq.graph import bindings, op_name
from tvm_vsq.tvm_compat import IRModule


class QuantizedModel:
    """Base of the torch modules that hold a quantized network."""

    def to_relax(self) -> IRModule:
        """The network as a fake-quantized Relax module."""
        raise NotImplementedError


def is_quantized(module: IRModule) -> bool:
    """Whether "main" computes on vectors, as it does in what `quantize.quantize` makes."""
    main = {variable.name_hint: function for variable, function in module.functions_items()}.get("main")
    if not isinstance(main, relax.Function) or not isinstance(main.body, relax.SeqExpr):
        return False
    return any(op_name(binding.value).startswith("vsq.") for binding in bindings(main))


def as_quantized(model: Any, **unread: Any) -> IRModule | None:
    """The fake-quantized module that `model` is or holds; None if it has still to be quantized.

    unread: arguments that only a model which is still to be quantized has a use for.
    Raises ConfigError for one that is given nevertheless, and ModelError for a module with branches.
    """
    if not isinstance(model, QuantizedModel) and not (isinstance(model, IRModule) and is_quantized(model)):
        return None
    if given := [f"{name}=" for name, value in unread.items() if value is not None]:
        raise ConfigError(
            f"the model is quantized already and is taken as it is, so {', '.join(given)} would have no "
            f"effect; leave {'it' if len(given) == 1 else 'them'} out, or give the fp32 model"
        )
    module = model.to_relax() if isinstance(model, QuantizedModel) else model
    check_straight_line(module["main"])
    return module


def refuse_quantized(model: Any) -> None:
    """Raise ModelError if `model`, or a torch module in it, is quantized already."""
    if isinstance(model, QuantizedModel) or (isinstance(model, IRModule) and is_quantized(model)):
        raise ModelError(
            "the model is quantized already, and would be quantized twice; give the fp32 model. As it is, "
            "tvm_vsq.compile, tvm_vsq.tune, tvm_vsq.export_onnx and tvm_vsq.export_safetensors take it"
        )
    for name in _quantized_parts(model):
        raise ModelError(
            f"the model's part '{name}' is quantized already; quantize the whole fp32 model, or compile the "
            f"part by itself"
        )


def _quantized_parts(model: Any) -> Iterator[str]:
    # torch takes seconds to import: only a caller who has it loaded can hold one of its modules
    if "torch" in sys.modules and isinstance(model, sys.modules["torch"].nn.Module):
        yield from (name for name, part in model.named_modules() if isinstance(part, QuantizedModel))
