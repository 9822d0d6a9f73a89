// Dynamic per-vector quantization of PPU results (docs/numerics.md, section 3). Integers only.
#ifndef TVM_VSQ_SIM_REQUANTIZE_H_
#define TVM_VSQ_SIM_REQUANTIZE_H_

#include <algorithm>
#include <cstdint>

#include "tvm_vsq/sim/params.h"

namespace tvm_vsq::sim {

// The output format of one PPU instruction.
struct VectorFormat {
  int32_t element_max;  // q_max
  int32_t element_min;
  int32_t scale_max;  // 2^M - 1, or 1 without a scale unit
  int32_t guard_bits;
  int32_t full_scale;  // what the largest element stands for with scale 1, in units of y
  double full_scale_reciprocal;
  int32_t code_mask;  // of the element's N bits

  VectorFormat() = default;
  VectorFormat(const Params& params, bool is_unsigned)
      : VectorFormat(params, params.activation_bits, params.activation_scale_bits, is_unsigned,
                     params.activation_bits) {}

  // What an instruction requantizes to. Elements wait for STORE in the bits of activations; those that are to
  // be split into digits are whole.
  static VectorFormat Of(const Params& params, const isa::Ppu& ppu) {
    const int64_t code_bits = ppu.digits > 0 ? kMaxElementBits : params.activation_bits;
    if (ppu.out_bits > 0) return {params, ppu.out_bits, ppu.out_scale_bits, ppu.out_unsigned, code_bits};
    if (ppu.second) return {params, params.second_bits, params.second_scale_bits, false, code_bits};
    return {params, ppu.out_unsigned};
  }

  // Elements of `bits` as codes of `code_bits`, and scales of `scale_bits`, 0 where there are none.
  VectorFormat(const Params& params, int64_t bits, int64_t scale_bits, bool is_unsigned, int64_t code_bits)
      : element_max((1 << (bits - (is_unsigned ? 0 : 1))) - 1),
        element_min(is_unsigned ? 0 : -element_max),
        scale_max(scale_bits > 0 ? (1 << scale_bits) - 1 : 1),
        guard_bits(static_cast<int32_t>(params.guard_bits)),
        full_scale(element_max << guard_bits),
        full_scale_reciprocal(1.0 / full_scale),
        code_mask((1 << code_bits) - 1) {}
};

// floor(n / d) for n >= 0 and d >= 1 through 1.0 / d, which costs a multiplication where a division costs
// many. (n + 1/2) / d is at least 1 / (2 d) away from every integer; the two roundings of the product move it
// by less than 2^-51 (n + 1/2) / d, that is by less than 1 / (2 d). So it is cut to the right integer.
inline int32_t FloorDivBy(int32_t n, double reciprocal) {
  return static_cast<int32_t>((n + 0.5) * reciprocal);
}

// The scale of a vector, and what turns its lanes into elements:
// floor((clip(y, low, high) + offset) * reciprocal) + element_min. Clipping first gives the same as clipping
// the quotient, because rhu(element * step, step) = element; offset makes the sum non-negative and rounds
// half up.
struct Step {
  int32_t scale, low, high, offset;
  double reciprocal;
};

// For a vector whose largest |y| is `largest`. All products are below 2^27, the limits of the parameters
// being 8-bit elements, 10-bit scales and 8 guard bits.
inline Step MakeStep(const VectorFormat& format, uint32_t largest) {
  const auto most = static_cast<uint32_t>(format.scale_max * format.full_scale);
  const auto clipped = static_cast<int32_t>(std::min(largest, most));
  const int32_t wanted = FloorDivBy(clipped + format.full_scale - 1, format.full_scale_reciprocal);
  const int32_t scale = std::max(wanted, 1), step = scale << format.guard_bits;
  const int32_t low = format.element_min * step;
  return {scale, low, format.element_max * step, step / 2 - low, 1.0 / step};
}

// Quantizes y[0, size) into element codes; returns the vector's scale.
inline int32_t Requantize(const VectorFormat& format, const int32_t* y, int size, uint8_t* codes) {
  uint32_t largest = 0;
  for (int i = 0; i < size; ++i) {
    const auto bits = static_cast<uint32_t>(y[i]);
    largest = std::max(largest, y[i] < 0 ? 0 - bits : bits);
  }
  const Step step = MakeStep(format, largest);
  for (int i = 0; i < size; ++i) {
    const int32_t n = std::clamp(y[i], step.low, step.high) + step.offset;
    const int32_t element = FloorDivBy(n, step.reciprocal) + format.element_min;
    codes[i] = static_cast<uint8_t>(element & format.code_mask);
  }
  return step.scale;
}

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_REQUANTIZE_H_
