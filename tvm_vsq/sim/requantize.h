// Dynamic per-vector quantization of PPU results (docs/numerics.md, section 3). Integers only.
#ifndef TVM_VSQ_SIM_REQUANTIZE_H_
#define TVM_VSQ_SIM_REQUANTIZE_H_

#include <algorithm>
#include <cstdint>

#include "tvm_vsq/sim/params.h"
#include "tvm_vsq/sim/rounding.h"

namespace tvm_vsq::sim {

// The output format of one PPU instruction.
struct VectorFormat {
  int64_t element_max;  // q_max
  int64_t element_min;
  int64_t scale_max;  // 2^M - 1, or 1 without a scale unit
  int guard_bits;
  uint32_t code_mask;  // of the element's N bits

  VectorFormat(const Params& params, bool is_unsigned)
      : element_max((int64_t{1} << (params.activation_bits - (is_unsigned ? 0 : 1))) - 1),
        element_min(is_unsigned ? 0 : -element_max),
        scale_max(params.activation_scale_bits > 0 ? (int64_t{1} << params.activation_scale_bits) - 1 : 1),
        guard_bits(static_cast<int>(params.guard_bits)),
        code_mask((uint32_t{1} << params.activation_bits) - 1) {}
};

// Quantizes y[0, size) into element codes; returns the vector's scale.
inline int32_t Requantize(const VectorFormat& format, const int32_t* y, int size, uint8_t* codes) {
  int64_t largest = 0;
  for (int i = 0; i < size; ++i) largest = std::max(largest, y[i] < 0 ? -int64_t{y[i]} : int64_t{y[i]});
  const int64_t full_scale = format.element_max << format.guard_bits;
  const int64_t scale = std::clamp((largest + full_scale - 1) / full_scale, int64_t{1}, format.scale_max);
  const int64_t step = scale << format.guard_bits;
  for (int i = 0; i < size; ++i) {
    const int64_t element = std::clamp(RoundHalfUp(y[i], step), format.element_min, format.element_max);
    codes[i] = static_cast<uint8_t>(static_cast<uint32_t>(element) & format.code_mask);
  }
  return static_cast<int32_t>(scale);
}

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_REQUANTIZE_H_
