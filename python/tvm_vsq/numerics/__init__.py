"""The bit-exact integer reference, in NumPy. docs/numerics.md states the contract.

Everything that computes on the accelerator's numbers (the TIR reference of `tvm_vsq.relax_ops`, the C++
simulator) is tested against this package by `array_equal`.
"""

from tvm_vsq.numerics.accumulate import accumulate, multiply_scales
from tvm_vsq.numerics.accumulator import accumulator_bound, check_accumulator, check_sum_of_taps
from tvm_vsq.numerics.activations import inverse_step, quantize_activations, requantize
from tvm_vsq.numerics.dequantize import dequantize
from tvm_vsq.numerics.fixed_point import fixed_point
from tvm_vsq.numerics.packing import pack_activations, pack_weights, unpack_activations, unpack_weights
from tvm_vsq.numerics.post_process import post_process
from tvm_vsq.numerics.rounding import round_half_up, round_shift
from tvm_vsq.numerics.row_products import row_product_bound
from tvm_vsq.numerics.rows import turning_factors
from tvm_vsq.numerics.table import look_up, scale_values
from tvm_vsq.numerics.weights import quantize_weights

__all__ = [
    "accumulate",
    "accumulator_bound",
    "check_accumulator",
    "check_sum_of_taps",
    "dequantize",
    "fixed_point",
    "inverse_step",
    "look_up",
    "multiply_scales",
    "pack_activations",
    "pack_weights",
    "post_process",
    "quantize_activations",
    "quantize_weights",
    "requantize",
    "round_half_up",
    "round_shift",
    "row_product_bound",
    "scale_values",
    "turning_factors",
    "unpack_activations",
    "unpack_weights",
]
