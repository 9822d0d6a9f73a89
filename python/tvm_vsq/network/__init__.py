"""The network as it comes: which operators of the canonical fp32 graph are layers, and their names."""

from tvm_vsq.network.facts import Elements, Facts
from tvm_vsq.network.names import layer_names, with_layer_names
from tvm_vsq.network.rebuild import LayerRebuilder
from tvm_vsq.network.source import (
    RowForm,
    Source,
    WeightForm,
    Window,
    facts_of,
    operator_of,
    refusal,
    source_of,
    taps_of,
    weight_form,
)

__all__ = [
    "Elements",
    "Facts",
    "LayerRebuilder",
    "RowForm",
    "Source",
    "WeightForm",
    "Window",
    "facts_of",
    "layer_names",
    "operator_of",
    "refusal",
    "source_of",
    "taps_of",
    "weight_form",
    "with_layer_names",
]
