"""The network in fp32, called as its Executable is, so that one function evaluates both."""

from __future__ import annotations

from typing import Any

import torch

from tvm_vsq.network.inputs import inputs_of
from tvm_vsq.torch_graph.batching import run_in_batches
from tvm_vsq.torch_graph.graph import TorchGraph
from tvm_vsq.tvm_compat import IRModule


class Fp32Network:
    """`__call__` and `run_batch` of `Executable`, in PyTorch, of the canonical fp32 graph."""

    def __init__(self, canonical: IRModule) -> None:
        self._graph = TorchGraph(canonical["main"])
        self._inputs = inputs_of(canonical["main"])

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Results of any number of samples; torch in, torch out, NumPy in, NumPy out."""
        with torch.inference_mode():
            return run_in_batches(self._graph, self._inputs, args, named)

    def run_batch(self, *args: Any, threads: int | None = None, **named: Any) -> Any:
        """As `__call__`."""
        return self(*args, **named)
