#include "tvm_vsq/sim/dwconv_kernel.h"

#include <algorithm>

#include "tvm_vsq/sim/intrinsics.h"

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
#define TVM_VSQ_INLINE_AVX512 inline __attribute__((always_inline)) TVM_VSQ_TARGET_AVX512
#define TVM_VSQ_INLINE_AVX2 inline __attribute__((always_inline)) TVM_VSQ_TARGET_AVX2

constexpr size_t kTogether = 4;  // outputs that share a load of weights

// `kOutputs` neighbouring outputs, 16 lanes of one vector.
template <size_t kOutputs>
TVM_VSQ_INLINE_AVX512 void SumSixteen(const DwconvRow<int32_t>& row, size_t output, size_t lane) {
  const size_t channel = row.first_lane + lane, vector = channel / row.vector_size;
  const __m512i bias = _mm512_set1_epi32(row.bias);
  __m512i total[kOutputs];
  for (__m512i& sum : total) sum = _mm512_setzero_si512();
  const int32_t* weights = row.weights + lane;
  for (size_t r = 0; r < row.tap_rows; ++r) {
    for (size_t s = 0; s < row.tap_columns; ++s, weights += row.lanes) {
      const __m512i weight = _mm512_loadu_si512(weights);
      size_t entry = row.inp + output * row.inp_step + r * row.row_step + s * row.column_step;
      for (size_t i = 0; i < kOutputs; ++i, entry += row.inp_step) {
        const uint8_t* codes = row.codes + entry * row.vector_size + channel;
        const __m512i x = _mm512_sub_epi32(
            _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes))), bias);
        const __m512i scaled = _mm512_mullo_epi32(x, _mm512_set1_epi32(row.scales[entry + vector]));
        total[i] = _mm512_add_epi32(total[i], _mm512_mullo_epi32(scaled, weight));
      }
    }
  }
  for (size_t i = 0; i < kOutputs; ++i)
    _mm512_storeu_si512(row.acc + (output + i) * row.acc_step + lane, total[i]);
}

// The same for eight lanes.
template <size_t kOutputs>
TVM_VSQ_INLINE_AVX2 void SumEight(const DwconvRow<int32_t>& row, size_t output, size_t lane) {
  const size_t channel = row.first_lane + lane, vector = channel / row.vector_size;
  const __m256i bias = _mm256_set1_epi32(row.bias);
  __m256i total[kOutputs];
  for (__m256i& sum : total) sum = _mm256_setzero_si256();
  const int32_t* weights = row.weights + lane;
  for (size_t r = 0; r < row.tap_rows; ++r) {
    for (size_t s = 0; s < row.tap_columns; ++s, weights += row.lanes) {
      const __m256i weight = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(weights));
      size_t entry = row.inp + output * row.inp_step + r * row.row_step + s * row.column_step;
      for (size_t i = 0; i < kOutputs; ++i, entry += row.inp_step) {
        const uint8_t* codes = row.codes + entry * row.vector_size + channel;
        const __m256i x = _mm256_sub_epi32(
            _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes))), bias);
        const __m256i scaled = _mm256_mullo_epi32(x, _mm256_set1_epi32(row.scales[entry + vector]));
        total[i] = _mm256_add_epi32(total[i], _mm256_mullo_epi32(scaled, weight));
      }
    }
  }
  for (size_t i = 0; i < kOutputs; ++i)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(row.acc + (output + i) * row.acc_step + lane), total[i]);
}

// Whether sums are in 32 bits, and so many lanes in one vector.
bool Suits(const DwconvRow<int32_t>& row, size_t lanes) {
  return row.limit == 0 && std::min(row.lanes, row.vector_size) >= lanes;
}

TVM_VSQ_TARGET_AVX2 size_t RunAvx2(const DwconvRow<int32_t>& row) {
  if (!Suits(row, 8)) return RunAny(row);
  size_t i = 0;
  for (; i + kTogether <= row.outputs; i += kTogether) {
    for (size_t lane = 0; lane < row.lanes; lane += 8) SumEight<kTogether>(row, i, lane);
  }
  for (; i < row.outputs; ++i) {
    for (size_t lane = 0; lane < row.lanes; lane += 8) SumEight<1>(row, i, lane);
  }
  return i;
}

TVM_VSQ_TARGET_AVX512 size_t RunAvx512(const DwconvRow<int32_t>& row) {
  if (!Suits(row, 16)) return RunAvx2(row);
  size_t i = 0;
  for (; i + kTogether <= row.outputs; i += kTogether) {
    for (size_t lane = 0; lane < row.lanes; lane += 16) SumSixteen<kTogether>(row, i, lane);
  }
  for (; i < row.outputs; ++i) {
    for (size_t lane = 0; lane < row.lanes; lane += 16) SumSixteen<1>(row, i, lane);
  }
  return i;
}
#endif

}  // namespace

template <>
DwconvKernel<int32_t> SelectDwconvKernel<int32_t>([[maybe_unused]] Simd simd) {
#if TVM_VSQ_X86
  if (simd == Simd::kAvx512) return RunAvx512;
  if (simd == Simd::kAvx2) return RunAvx2;
#endif
  return RunPortable<int32_t>;
}

template <>
DwconvKernel<int64_t> SelectDwconvKernel<int64_t>(Simd) {
  return RunPortable<int64_t>;
}

}  // namespace tvm_vsq::sim
