// Dynamic per-vector quantization of PPU results (docs/numerics.md, section 3). Integers only.
#ifndef TVM_VSQ_SIM_REQUANTIZE_H_
#define TVM_VSQ_SIM_REQUANTIZE_H_

#include <algorithm>
#include <cstdint>

#include "tvm_vsq/sim/params.h"

namespace tvm_vsq::sim {

// The output format of one PPU instruction.
struct VectorFormat {
  int64_t element_max;  // q_max
  int64_t element_min;
  int64_t scale_max;  // 2^M - 1, or 1 without a scale unit
  int guard_bits;
  int64_t full_scale;  // what the largest element stands for with scale 1, in units of y
  double full_scale_reciprocal;
  uint32_t code_mask;  // of the element's N bits

  VectorFormat() = default;
  VectorFormat(const Params& params, bool is_unsigned)
      : element_max((int64_t{1} << (params.activation_bits - (is_unsigned ? 0 : 1))) - 1),
        element_min(is_unsigned ? 0 : -element_max),
        scale_max(params.activation_scale_bits > 0 ? (int64_t{1} << params.activation_scale_bits) - 1 : 1),
        guard_bits(static_cast<int>(params.guard_bits)),
        full_scale(element_max << guard_bits),
        full_scale_reciprocal(1.0 / static_cast<double>(full_scale)),
        code_mask((uint32_t{1} << params.activation_bits) - 1) {}
};

// floor(n / d) for 0 <= n < 2^50 and d >= 1 through 1.0 / d, which costs a multiplication where a division
// costs many. (n + 1/2) / d is at least 1 / (2 d) away from every integer; the two roundings of the product
// move it by less than 2^-51 (n + 1/2) / d, that is by less than 1 / (2 d). So it is cut to the right
// integer.
inline int64_t FloorDivBy(int64_t n, double reciprocal) {
  return static_cast<int64_t>((static_cast<double>(n) + 0.5) * reciprocal);
}

// The scale of a vector whose largest |y| is `largest`, and what turns its lanes into elements:
// floor((clip(y, low, high) + offset) * reciprocal) + element_min. Clipping first gives the same as clipping
// the quotient, because rhu(element * step, step) = element; offset makes the sum non-negative and rounds
// half up.
struct Step {
  int32_t scale, low, high, offset;
  double reciprocal;

  Step(const VectorFormat& format, int64_t largest) {
    const int64_t wanted = FloorDivBy(largest + format.full_scale - 1, format.full_scale_reciprocal);
    scale = static_cast<int32_t>(std::clamp(wanted, int64_t{1}, format.scale_max));
    const int32_t step = scale << format.guard_bits;  // below 2^18
    low = static_cast<int32_t>(format.element_min) * step;
    high = static_cast<int32_t>(format.element_max) * step;
    offset = step / 2 - low;
    reciprocal = 1.0 / step;
  }
};

// Quantizes y[0, size) into element codes; returns the vector's scale.
inline int32_t Requantize(const VectorFormat& format, const int32_t* y, int size, uint8_t* codes) {
  int64_t largest = 0;
  for (int i = 0; i < size; ++i) largest = std::max(largest, y[i] < 0 ? -int64_t{y[i]} : int64_t{y[i]});
  const Step step(format, largest);
  for (int i = 0; i < size; ++i) {
    const int64_t quotient = FloorDivBy(std::clamp(y[i], step.low, step.high) + step.offset, step.reciprocal);
    codes[i] = static_cast<uint8_t>(static_cast<uint32_t>(quotient + format.element_min) & format.code_mask);
  }
  return step.scale;
}

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_REQUANTIZE_H_
