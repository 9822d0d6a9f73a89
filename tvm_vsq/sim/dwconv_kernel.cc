#include "tvm_vsq/sim/dwconv_kernel.h"

#include <algorithm>

namespace tvm_vsq::sim {
namespace {

#if TVM_VSQ_X86
#define TVM_VSQ_ALWAYS_INLINE inline __attribute__((always_inline))
#else
#define TVM_VSQ_ALWAYS_INLINE inline
#endif

// The lanes of a piece lie in one vector. `Sum` holds whatever the sums can be; compilers make vector
// instructions of loops over a known number of lanes.
template <size_t kLanes, typename Sum, typename Acc>
TVM_VSQ_ALWAYS_INLINE void SumTaps(const DwconvRow<Acc>& row, size_t inp, size_t lane, Sum* sums) {
  const size_t channel = row.first_lane + lane;
  for (size_t c = 0; c < kLanes; ++c) sums[c] = 0;
  const int32_t* weights = row.weights + lane;
  for (size_t r = 0; r < row.tap_rows; ++r) {
    for (size_t s = 0; s < row.tap_columns; ++s, weights += row.lanes) {
      const size_t entry = inp + r * row.row_step + s * row.column_step;
      const uint8_t* codes = row.codes + entry * row.vector_size + channel;
      const int32_t scale = row.scales[entry + channel / row.vector_size];
      for (size_t c = 0; c < kLanes; ++c)
        sums[c] += static_cast<Sum>((codes[c] - row.bias) * scale) * static_cast<Sum>(weights[c]);
    }
  }
}

template <size_t kLanes, typename Acc>
TVM_VSQ_ALWAYS_INLINE size_t RunRow(const DwconvRow<Acc>& row) {
  for (size_t i = 0; i < row.outputs; ++i) {
    Acc* acc = row.acc + i * row.acc_step;
    for (size_t lane = 0; lane < row.lanes; lane += kLanes) {
      if (row.limit == 0) {
        Acc sums[kLanes];
        SumTaps<kLanes>(row, row.inp + i * row.inp_step, lane, sums);
        std::copy(sums, sums + kLanes, acc + lane);
        continue;
      }
      int64_t sums[kLanes];
      SumTaps<kLanes>(row, row.inp + i * row.inp_step, lane, sums);
      for (size_t c = 0; c < kLanes; ++c) {
        if (sums[c] < -row.limit || sums[c] >= row.limit) return i;
        acc[lane + c] = static_cast<Acc>(sums[c]);
      }
    }
  }
  return row.outputs;
}

// As many lanes at a time as lie in one vector, but no more than 16.
template <typename Acc>
TVM_VSQ_ALWAYS_INLINE size_t RunAny(const DwconvRow<Acc>& row) {
  switch (std::min({row.lanes, row.vector_size, size_t{16}})) {
    case 4:
      return RunRow<4>(row);
    case 8:
      return RunRow<8>(row);
    default:
      return RunRow<16>(row);
  }
}

template <typename Acc>
size_t RunPortable(const DwconvRow<Acc>& row) {
  return RunAny(row);
}

#if TVM_VSQ_X86
template <typename Acc>
TVM_VSQ_TARGET_AVX2 size_t RunAvx2(const DwconvRow<Acc>& row) {
  return RunAny(row);
}

template <typename Acc>
TVM_VSQ_TARGET_AVX512 size_t RunAvx512(const DwconvRow<Acc>& row) {
  return RunAny(row);
}
#endif

}  // namespace

template <typename Acc>
DwconvKernel<Acc> SelectDwconvKernel([[maybe_unused]] Simd simd) {
#if TVM_VSQ_X86
  if (simd == Simd::kAvx512) return RunAvx512<Acc>;
  if (simd == Simd::kAvx2) return RunAvx2<Acc>;
#endif
  return RunPortable<Acc>;
}

template DwconvKernel<int32_t> SelectDwconvKernel<int32_t>(Simd);
template DwconvKernel<int64_t> SelectDwconvKernel<int64_t>(Simd);

}  // namespace tvm_vsq::sim
