#include "tvm_vsq/sim/dwconv_taps.h"

#include <algorithm>

#include "tvm_vsq/sim/intrinsics.h"

namespace tvm_vsq::sim {
namespace {

#if TVM_VSQ_X86
#define TVM_VSQ_ALWAYS_INLINE inline __attribute__((always_inline))
#else
#define TVM_VSQ_ALWAYS_INLINE inline
#endif

// Calls visit(elements, scales, weights, taps) for what lies side by side in wgt: up to four taps, elements
// [lanes][4].
template <typename Visit>
TVM_VSQ_ALWAYS_INLINE void ForEachFour(const DwconvTaps& taps, int32_t* weights, Visit visit) {
  const size_t row = 4 * taps.lanes;
  size_t entry = taps.entry;
  for (size_t first = 0; first < taps.count; first += taps.run) {
    for (size_t t = 0; t < taps.run; t += 4) {
      const size_t at = entry + t / taps.vector_size, count = std::min<size_t>(4, taps.run - t);
      visit(taps.elements + at * taps.vector_size * taps.lanes + t % taps.vector_size / 4 * row,
            taps.scales + at * taps.lanes, weights, count);
      weights += count * taps.lanes;
    }
    entry += (taps.run + taps.vector_size - 1) / taps.vector_size;
  }
}

void UnpackPortable(const DwconvTaps& taps, int32_t* all) {
  const size_t lanes = taps.lanes;
  ForEachFour(taps, all, [&](const int8_t* elements, const int32_t* scales, int32_t* weights, size_t count) {
    for (size_t t = 0; t < count; ++t) {
      for (size_t lane = 0; lane < lanes; ++lane)
        weights[t * lanes + lane] = elements[4 * lane + t] * scales[lane];
    }
  });
}

#if TVM_VSQ_X86
// A 32-bit word holds a lane's four elements; shifts bring one of them up, and down again with its sign.
TVM_VSQ_TARGET_AVX512 void UnpackAvx512(const DwconvTaps& taps, int32_t* all) {
  const size_t lanes = taps.lanes;
  ForEachFour(taps, all,
              [&](const int8_t* elements, const int32_t* scales, int32_t* weights, size_t count)
                  TVM_VSQ_TARGET_AVX512 {
                    for (size_t lane = 0; lane < lanes; lane += 16) {
                      const __m512i words = _mm512_loadu_si512(elements + 4 * lane);
                      const __m512i scale = _mm512_loadu_si512(scales + lane);
                      for (size_t t = 0; t < count; ++t) {
                        const auto up = _mm_cvtsi32_si128(static_cast<int>(24 - 8 * t));
                        const __m512i element = _mm512_srai_epi32(_mm512_sll_epi32(words, up), 24);
                        _mm512_storeu_si512(weights + t * lanes + lane, _mm512_mullo_epi32(element, scale));
                      }
                    }
                  });
}

TVM_VSQ_ALWAYS_INLINE TVM_VSQ_TARGET_AVX2 __m256i Load(const void* address) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(address));
}

TVM_VSQ_TARGET_AVX2 void UnpackAvx2(const DwconvTaps& taps, int32_t* all) {
  const size_t lanes = taps.lanes;
  ForEachFour(taps, all,
              [&](const int8_t* elements, const int32_t* scales, int32_t* weights, size_t count)
                  TVM_VSQ_TARGET_AVX2 {
                    for (size_t lane = 0; lane < lanes; lane += 8) {
                      const __m256i words = Load(elements + 4 * lane), scale = Load(scales + lane);
                      for (size_t t = 0; t < count; ++t) {
                        const auto up = _mm_cvtsi32_si128(static_cast<int>(24 - 8 * t));
                        const __m256i element = _mm256_srai_epi32(_mm256_sll_epi32(words, up), 24);
                        _mm256_storeu_si256(reinterpret_cast<__m256i*>(weights + t * lanes + lane),
                                            _mm256_mullo_epi32(element, scale));
                      }
                    }
                  });
}
#endif

}  // namespace

UnpackTaps SelectUnpackTaps([[maybe_unused]] size_t lanes, [[maybe_unused]] Simd simd) {
#if TVM_VSQ_X86
  if (simd == Simd::kAvx512 && lanes % 16 == 0) return UnpackAvx512;
  if (simd != Simd::kPortable && lanes % 8 == 0) return UnpackAvx2;
#endif
  return UnpackPortable;
}

}  // namespace tvm_vsq::sim
