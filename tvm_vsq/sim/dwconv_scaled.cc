#include "tvm_vsq/sim/dwconv_scaled.h"

#include "tvm_vsq/sim/intrinsics.h"

namespace tvm_vsq::sim {

#if TVM_VSQ_X86
namespace {

constexpr size_t kTogether = 8;  // outputs that share a load of weights

TVM_VSQ_TARGET_AVX512 void Scale(const DwconvInputs& inputs, int32_t* scaled) {
  const DwconvInputs g = inputs;  // a copy that the stores below cannot change
  const __m512i bias = _mm512_set1_epi32(g.bias);
  size_t entry = g.first;
  for (size_t i = 0; i < g.count; ++i, entry += g.step) {
    const __m512i scale = _mm512_set1_epi32(g.scales[entry]);
    for (size_t lane = 0; lane < g.lanes; lane += 16, scaled += 16) {
      const auto* codes =
          reinterpret_cast<const __m128i*>(g.codes + entry * g.vector_size + g.first_lane + lane);
      const __m512i x = _mm512_sub_epi32(_mm512_cvtepu8_epi32(_mm_loadu_si128(codes)), bias);
      _mm512_storeu_si512(scaled, _mm512_mullo_epi32(x, scale));
    }
  }
}

// `kOutputs` neighbouring outputs, 16 lanes.
template <size_t kOutputs>
inline __attribute__((always_inline)) TVM_VSQ_TARGET_AVX512 void Sum(const ScaledRow& row, size_t output,
                                                                     size_t lane) {
  __m512i total[kOutputs];
  for (__m512i& sum : total) sum = _mm512_setzero_si512();
  const int32_t* weights = row.weights + lane;
  for (size_t r = 0; r < row.tap_rows; ++r) {
    const int32_t* inputs = row.inputs + (output * row.inp_step + r * row.row_step) * row.lanes + lane;
    for (size_t s = 0; s < row.tap_columns; ++s, weights += row.lanes, inputs += row.lanes) {
      const __m512i weight = _mm512_loadu_si512(weights);
      for (size_t i = 0; i < kOutputs; ++i) {
        const __m512i x = _mm512_loadu_si512(inputs + i * row.inp_step * row.lanes);
        total[i] = _mm512_add_epi32(total[i], _mm512_mullo_epi32(x, weight));
      }
    }
  }
  for (size_t i = 0; i < kOutputs; ++i)
    _mm512_storeu_si512(row.acc + (output + i) * row.acc_step + lane, total[i]);
}

TVM_VSQ_TARGET_AVX512 void Run(const ScaledRow& row) {
  for (size_t lane = 0; lane < row.lanes; lane += 16) {
    size_t i = 0;
    for (; i + kTogether <= row.outputs; i += kTogether) Sum<kTogether>(row, i, lane);
    for (; i + 2 <= row.outputs; i += 2) Sum<2>(row, i, lane);
    for (; i < row.outputs; ++i) Sum<1>(row, i, lane);
  }
}

constexpr ScaledDwconv kAvx512 = {Scale, Run};

}  // namespace
#endif

const ScaledDwconv* SelectScaledDwconv([[maybe_unused]] size_t vector_size, [[maybe_unused]] size_t lanes,
                                       [[maybe_unused]] Simd simd) {
#if TVM_VSQ_X86
  if (simd == Simd::kAvx512 && lanes % 16 == 0 && lanes <= vector_size) return &kAvx512;
#endif
  return nullptr;
}

}  // namespace tvm_vsq::sim
