"""The network as it comes: which operators of the canonical fp32 graph are layers, and their names."""

from tvm_vsq.network.names import layer_names, with_layer_names
from tvm_vsq.network.source import Source, WeightForm, Window, operator_of, refusal, source_of, weight_form

__all__ = [
    "Source",
    "WeightForm",
    "Window",
    "layer_names",
    "operator_of",
    "refusal",
    "source_of",
    "weight_form",
    "with_layer_names",
]
