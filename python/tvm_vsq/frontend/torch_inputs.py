"""Example inputs of a torch module: in which form it is called, and with what."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from tvm_vsq.errors import ModelError, shown
from tvm_vsq.network.inputs import DTYPES, INPUTS_ARE

HALVES = (torch.float16, torch.bfloat16)
"""What becomes float32."""


@dataclass(frozen=True)
class Call:
    """The arguments of one call of a module, all of them tensors."""

    args: tuple[torch.Tensor, ...]
    kwargs: dict[str, torch.Tensor]

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All of them in order, which is that of the network's inputs."""
        return (*self.args, *self.kwargs.values())


def call_of(example_inputs: Any, model: torch.nn.Module) -> Call:
    """Example inputs as arguments: a mapping holds those that have names, in the order of forward's.

    Half precision becomes float32. Raises ModelError for what is no tensor, or of another dtype.
    """
    name = type(model).__name__
    if example_inputs is None:
        raise ModelError(
            f"{name} is a torch.nn.Module, whose input shapes are not known: pass example_inputs=(tensor, "
            "...), or a dict of tensors by the names of forward's arguments"
        )
    if isinstance(example_inputs, Mapping):
        order = {key: place for place, key in enumerate(inspect.signature(model.forward).parameters)}
        names = sorted(map(str, example_inputs), key=lambda key: order.get(key, len(order)))
        return Call((), {key: _tensor(example_inputs[key], repr(key)) for key in names})
    values = example_inputs if isinstance(example_inputs, tuple | list) else (example_inputs,)
    return Call(tuple(_tensor(value, str(place)) for place, value in enumerate(values)), {})


def _tensor(value: Any, place: str) -> torch.Tensor:
    where = f"example_inputs[{place}]"
    try:
        # what is no array has no dtype of its own, and may be an option, such as a flag
        tensor = torch.as_tensor(value) if not isinstance(value, bool | int | str) else None
    except (TypeError, ValueError, RuntimeError):
        tensor = None
    if tensor is None:
        raise ModelError(f"{where} must be a tensor, not {type(value).__name__} {shown(value)}")
    dtype = str(tensor.dtype).removeprefix("torch.")
    if tensor.dtype in HALVES:
        return tensor.detach().float()
    if dtype not in DTYPES:
        raise ModelError(f"{where} is {dtype}; inputs must be {INPUTS_ARE}")
    # another tensor object each: export takes one that is given twice for one input
    return tensor.detach().resolve_neg()
