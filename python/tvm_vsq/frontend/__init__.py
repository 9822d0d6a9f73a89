"""A trained network in, one canonical Relax function out."""

from tvm_vsq.frontend.importer import import_model
from tvm_vsq.frontend.layers import layer_names

__all__ = ["import_model", "layer_names"]
