// rhu of docs/numerics.md, section 2: integers round half up, towards plus infinity.
#ifndef TVM_VSQ_SIM_ROUNDING_H_
#define TVM_VSQ_SIM_ROUNDING_H_

#include <cstdint>

namespace tvm_vsq::sim {

// floor(n / d) for d > 0.
inline int64_t FloorDiv(int64_t n, int64_t d) { return n / d - (n % d < 0 ? 1 : 0); }

// rhu(n, d) = floor((2n + d) / 2d); needs |n| < 2^61 and 0 < d < 2^61.
inline int64_t RoundHalfUp(int64_t n, int64_t d) { return FloorDiv(2 * n + d, 2 * d); }

// rhu(n, 2^shift); needs |n| < 2^62 and 0 <= shift <= 62. Every supported compiler shifts negatives
// arithmetically.
inline int64_t RoundHalfUpShift(int64_t n, int shift) {
  return shift == 0 ? n : (n + (int64_t{1} << (shift - 1))) >> shift;
}

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_ROUNDING_H_
