#include "tvm_vsq/sim/reduce_kernel.h"

#include <algorithm>
#include <limits>
#include <type_traits>

#include "tvm_vsq/sim/rounding.h"

// These loops are left to the compiler, which makes vector instructions of them for each target below.
#define TVM_VSQ_INLINE inline __attribute__((always_inline))

namespace tvm_vsq::sim {
namespace {

using Op = isa::Reduce::Op;

constexpr int32_t kMostSquared = (1 << 17) - 1, kLeastSquared = -(1 << 17);
// Beyond that, all that is squared is clipped, whether it is rounded up or not.
constexpr int32_t kBeyond = 1 << 20;

// clip(rhu(lane, 2^shift)), without more bits than the lane has.
TVM_VSQ_INLINE int32_t Squared(int32_t lane, int shift) {
  if (shift > 0) lane = (std::clamp(lane >> std::min(shift - 1, 31), -kBeyond, kBeyond) + 1) >> 1;
  return std::clamp(lane, kLeastSquared, kMostSquared);
}
TVM_VSQ_INLINE int32_t Squared(int64_t lane, int shift) {
  return static_cast<int32_t>(
      std::clamp<int64_t>(RoundHalfUpShift(lane, shift), kLeastSquared, kMostSquared));
}

template <Op kOp, typename Acc>
TVM_VSQ_INLINE void Add(const Acc* lanes, size_t count, int shift, int64_t* result) {
  if (kOp == Op::kMax) {
    auto most = static_cast<Acc>(*result);
    for (size_t i = 0; i < count; ++i) most = std::max(most, lanes[i]);
    *result = most;
    return;
  }
  using Limits = std::numeric_limits<int32_t>;
  int64_t sum = 0;
  for (size_t i = 0; i < count; ++i) {
    if (kOp == Op::kSum) sum += std::clamp<int64_t>(lanes[i], Limits::min(), Limits::max());
    if (kOp == Op::kSquares) {
      const int64_t q = Squared(lanes[i], shift);
      sum += q * q;
    }
  }
  *result += sum;
}

template <Op kOp, typename Acc>
TVM_VSQ_INLINE int64_t Run(const RowShape& shape, const Acc* row) {
  int64_t result = kOp == Op::kMax ? std::numeric_limits<Acc>::min() : 0;
  for (size_t i = 0; i + 1 < shape.entries; ++i, row += shape.step)
    Add<kOp>(row, shape.lanes, shape.shift, &result);
  Add<kOp>(row, shape.last_lanes, shape.shift, &result);
  return result;
}

template <Op kOp, typename Acc>
int64_t RunPortable(const RowShape& shape, const Acc* row) {
  return Run<kOp>(shape, row);
}

#if TVM_VSQ_X86
template <Op kOp>
TVM_VSQ_TARGET_AVX2 int64_t RunAvx2(const RowShape& shape, const int32_t* row) {
  return Run<kOp>(shape, row);
}

template <Op kOp>
TVM_VSQ_TARGET_AVX512 int64_t RunAvx512(const RowShape& shape, const int32_t* row) {
  return Run<kOp>(shape, row);
}
#endif

template <Op kOp, typename Acc>
ReduceKernel<Acc> Select([[maybe_unused]] Simd simd) {
#if TVM_VSQ_X86
  if constexpr (std::is_same_v<Acc, int32_t>) {
    if (simd == Simd::kAvx512) return RunAvx512<kOp>;
    if (simd == Simd::kAvx2) return RunAvx2<kOp>;
  }
#endif
  return RunPortable<kOp, Acc>;
}

}  // namespace

template <typename Acc>
ReduceKernel<Acc> SelectReduceKernel(Op op, Simd simd) {
  switch (op) {
    case Op::kMax:
      return Select<Op::kMax, Acc>(simd);
    case Op::kSum:
      return Select<Op::kSum, Acc>(simd);
    default:
      return Select<Op::kSquares, Acc>(simd);
  }
}

template ReduceKernel<int32_t> SelectReduceKernel(Op, Simd);
template ReduceKernel<int64_t> SelectReduceKernel(Op, Simd);

}  // namespace tvm_vsq::sim
