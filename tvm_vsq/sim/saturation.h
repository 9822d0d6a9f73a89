// Accumulators that saturate: results that have no bound of their own, which VEC and REDUCE leave.
#ifndef TVM_VSQ_SIM_SATURATION_H_
#define TVM_VSQ_SIM_SATURATION_H_

#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace tvm_vsq::sim {

// Numbers from -kSaturationLimit to kSaturationLimit - 1 stay as they are: any int32, which is what an entry
// holds where accumulators are narrower, and no more where they are wider, so that results are the same.
constexpr int64_t kSaturationLimit = int64_t{1} << 31;

inline int64_t Saturated(int64_t number, int64_t limit) { return std::clamp(number, -limit, limit - 1); }

// The loops of these are left to the compiler, so those of int32_t, whose limit is 2^31, stay in 32 bits.
template <typename Acc>
inline __attribute__((always_inline)) Acc SaturatedSum(Acc a, Acc b, int64_t limit) {
  if constexpr (std::is_same_v<Acc, int32_t>) {
    const auto wrapped = static_cast<int32_t>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b));
    const bool wraps = ((a ^ wrapped) & (b ^ wrapped)) < 0;
    return wraps ? (a >> 31) ^ std::numeric_limits<int32_t>::max() : wrapped;
  } else {
    return Saturated(a + b, limit);
  }
}

template <typename Acc>
inline __attribute__((always_inline)) Acc SaturatedDifference(Acc a, Acc b, int64_t limit) {
  if constexpr (std::is_same_v<Acc, int32_t>) {
    const auto wrapped = static_cast<int32_t>(static_cast<uint32_t>(a) - static_cast<uint32_t>(b));
    const bool wraps = ((a ^ b) & (a ^ wrapped)) < 0;
    return wraps ? (a >> 31) ^ std::numeric_limits<int32_t>::max() : wrapped;
  } else {
    return Saturated(a - b, limit);
  }
}

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_SATURATION_H_
