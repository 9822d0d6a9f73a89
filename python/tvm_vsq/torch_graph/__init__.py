"""Relax functions in PyTorch: calibration, evaluation and training at torch's speed."""

from tvm_vsq.torch_graph.batching import tensor_of
from tvm_vsq.torch_graph.graph import TorchGraph

__all__ = ["TorchGraph", "tensor_of"]
