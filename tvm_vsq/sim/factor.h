// Factors as REDUCE makes them and VEC scales by them: m * 2^-k in an accumulator, m + 2^16 * k.
#ifndef TVM_VSQ_SIM_FACTOR_H_
#define TVM_VSQ_SIM_FACTOR_H_

#include <algorithm>
#include <cstdint>

#include "tvm_vsq/sim/rounding.h"

namespace tvm_vsq::sim {

inline constexpr int kFactorBits = 16, kFactorShiftBits = 6;
inline constexpr int64_t kMaxFactorShift = 62;  // of what REDUCE makes

inline int64_t MakeFactor(int64_t m, int64_t k) {
  return m | std::clamp<int64_t>(k, 0, kMaxFactorShift) << kFactorBits;
}
inline int64_t Multiplier(int64_t factor) { return factor & ((1 << kFactorBits) - 1); }
inline int ShiftOf(int64_t factor) {
  return static_cast<int>(factor >> kFactorBits & ((1 << kFactorShiftBits) - 1));
}

// rhu(lane * m, 2^k). A lane has at most 46 bits, so no product has more than 62.
inline int64_t Scaled(int64_t lane, int64_t factor) {
  return RoundHalfUpShift(lane * Multiplier(factor), ShiftOf(factor));
}

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_FACTOR_H_
