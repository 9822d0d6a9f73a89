"""The per-vector quantization of activations, as an ONNX function of standard operators."""

from __future__ import annotations

import onnx
import onnx.parser

from tvm_vsq.frontend.onnx_quantization import OWN_DOMAIN, OWN_QUANTIZER, OWN_STATIC_QUANTIZER

OPSET = 21
"""The first with block_size and 4-bit integers."""

IR_VERSION = 10
"""The one that belongs to it."""

# docs/numerics.md, section 3.2. float64 holds every integer of it exactly, so that only "scaled" and "value"
# round, in float32, as the reference does. Static scales are an input [CV, 1], dynamic ones follow from x.
_BODY = """
  inverse = Constant <value_float: float = @inverse_step> ()
  limit = Constant <value_float = 1073741824.0> ()
  minus_limit = Constant <value_float = -1073741824.0> ()
  scaled = Mul (x, inverse)
  bounded = Clip (scaled, minus_limit, limit)
  rounded = Round (bounded)
  steps = Cast <to = 11> (rounded)

  zero = Constant <value_ints = [0]> ()
  last = Constant <value_ints = [-1]> ()
  size = Constant <value_int: int = @vector_size> ()
  channels = Shape <start = -1> (x)
  surplus = Neg (channels)
  missing = Mod (surplus, size)
  pads = Concat <axis = 0> (zero, missing)
  no_steps = Constant <value = double {0.0}> ()
  padded = Pad (steps, pads, no_steps, last)
  padded_shape = Shape (padded)
  width = Shape <start = -1> (padded)
  count = Div (width, size)
  lanes = Add (zero, size)
  vector_shape = Concat <axis = 0> (last, count, lanes)
  vectors = Reshape (padded, vector_shape)

  unit_f = Constant <value_float: float = @step> ()
  low_f = Constant <value_float: float = @lo> ()
  high_f = Constant <value_float: float = @qmax> ()
  unit = Cast <to = 11> (unit_f)
  low = Cast <to = 11> (low_f)
  high = Cast <to = 11> (high_f)
  %s
  divisor = Mul (scale, unit)
  quotient = Div (vectors, divisor)
  half = Constant <value = double {0.5}> ()
  shifted = Add (quotient, half)
  nearest = Floor (shifted)
  element = Clip (nearest, low, high)

  product = Mul (element, scale)
  exact = Cast <to = 1> (product)
  coarse = Constant <value_float: float = @gamma> ()
  value = Mul (exact, coarse)
  whole = Reshape (value, padded_shape)
  y = Slice (whole, zero, channels, last)
"""

_DYNAMIC = """
  magnitude = Abs (vectors)
  peak = ReduceMax <keepdims = 1> (magnitude, last)
  full = Mul (high, unit)
  ratio = Div (peak, full)
  needed = Ceil (ratio)
  one = Constant <value = double {1.0}> ()
  largest_f = Constant <value_float: float = @smax> ()
  largest = Cast <to = 11> (largest_f)
  scale = Clip (needed, one, largest)
"""

_ATTRIBUTES = "vector_size, lo, qmax, smax, step, inverse_step, gamma"


def quantizer_functions() -> list[onnx.FunctionProto]:
    """VectorFakeQuantize(x) -> y, with scales from the data, and (x, scales) -> y, with static ones.

    vector_size: V. lo, qmax, smax: range of elements, largest scale. step: 2^guard_bits. inverse_step:
    float32(step / gamma). y is what the vectors stand for, of the shape of x.
    """
    return [
        _function(OWN_QUANTIZER, "x", _DYNAMIC),
        _function(OWN_STATIC_QUANTIZER, "x, scales", "scale = Cast <to = 11> (scales)"),
    ]


def _function(name: str, inputs: str, scale: str) -> onnx.FunctionProto:
    head = f'<opset_import: ["" : {OPSET}], domain: "{OWN_DOMAIN}">'
    return onnx.parser.parse_function(f"{head} {name} <{_ATTRIBUTES}> ({inputs}) => (y) {{{_BODY % scale}}}")
