// rhu of docs/numerics.md, section 2: integers round half up, towards plus infinity.
#ifndef TVM_VSQ_SIM_ROUNDING_H_
#define TVM_VSQ_SIM_ROUNDING_H_

#include <cstdint>

namespace tvm_vsq::sim {

// What rhu(n, 2^shift) adds before it shifts.
inline int64_t RoundingTerm(int shift) { return shift == 0 ? 0 : int64_t{1} << (shift - 1); }

// rhu(n, 2^shift); needs |n| < 2^62 and 0 <= shift <= 62. Every supported compiler shifts negatives
// arithmetically.
inline int64_t RoundHalfUpShift(int64_t n, int shift) { return (n + RoundingTerm(shift)) >> shift; }

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_ROUNDING_H_
