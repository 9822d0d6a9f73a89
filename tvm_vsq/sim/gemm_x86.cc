// AVX2 kernel, chosen at run time: the library itself stays portable. Elsewhere only the portable kernel
// exists.
#include "tvm_vsq/sim/gemm_kernel.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#include <cstring>

#define TVM_VSQ_AVX2 __attribute__((target("avx2")))

namespace tvm_vsq::sim {
namespace {

inline TVM_VSQ_AVX2 __m256i Load(const void* address) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(address));
}

// Two neighbouring elements in every 32-bit lane.
inline TVM_VSQ_AVX2 __m256i BroadcastPair(const int16_t* pair) {
  int32_t both;
  std::memcpy(&both, pair, sizeof both);
  return _mm256_set1_epi32(both);
}

// acc[0, 4) += sum; returns the bits by which a result is outside, as non-zero.
inline TVM_VSQ_AVX2 __m256i Accumulate(int64_t* acc, __m256i sum, __m256i limit, __m128i bits) {
  const __m256i result = _mm256_add_epi64(Load(acc), sum);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(acc), result);
  return _mm256_srl_epi64(_mm256_add_epi64(result, limit), bits);
}

// kGroups * 8 output lanes.
template <int kGroups>
TVM_VSQ_AVX2 size_t RunGemmAvx2(const GemmOperands& g) {
  constexpr size_t kLanes = 8 * kGroups;
  const auto size = static_cast<size_t>(g.vector_size);
  const __m256i limit = _mm256_set1_epi64x(int64_t{1} << (g.accumulator_bits - 1));
  const __m128i bits = _mm_cvtsi32_si128(g.accumulator_bits), shift = _mm_cvtsi32_si128(g.product_shift);
  const __m256i half = _mm256_set1_epi32(g.product_shift > 0 ? 1 << (g.product_shift - 1) : 0);
  const __m256i product_max = _mm256_set1_epi32(g.product_max);
  for (size_t u = 0; u < g.count; ++u) {
    const Uop& uop = g.uops[u];
    const int16_t* x = g.inp + uop.inp * size;
    const int16_t* w = g.wgt + uop.wgt * size * kLanes;
    __m256i dot[kGroups] = {};
    for (size_t pair = 0; pair < size / 2; ++pair) {
      const __m256i both = BroadcastPair(x + 2 * pair);
      for (int k = 0; k < kGroups; ++k) {
        dot[k] = _mm256_add_epi32(dot[k], _mm256_madd_epi16(both, Load(w + 16 * k)));
      }
      w += 2 * kLanes;
    }
    const __m256i inp_scale = _mm256_set1_epi32(g.inp_scale[uop.inp]);
    const int32_t* scales = g.wgt_scale + uop.wgt * kLanes;
    int64_t* acc = g.acc + uop.acc * kLanes;
    __m256i outside = _mm256_setzero_si256();
    for (int k = 0; k < kGroups; ++k) {
      __m256i product = _mm256_mullo_epi32(Load(scales + 8 * k), inp_scale);
      // Products have at most 20 bits; without a shift, half is 0 and product_max does not bind.
      product = _mm256_min_epi32(_mm256_srl_epi32(_mm256_add_epi32(product, half), shift), product_max);
      const __m256i even = _mm256_mul_epi32(dot[k], product);
      const __m256i odd = _mm256_mul_epi32(_mm256_srli_epi64(dot[k], 32), _mm256_srli_epi64(product, 32));
      const __m256i low = _mm256_unpacklo_epi64(even, odd), high = _mm256_unpackhi_epi64(even, odd);
      const __m256i first = _mm256_permute2x128_si256(low, high, 0x20);
      const __m256i second = _mm256_permute2x128_si256(low, high, 0x31);
      outside = _mm256_or_si256(outside, Accumulate(acc + 8 * k, first, limit, bits));
      outside = _mm256_or_si256(outside, Accumulate(acc + 8 * k + 4, second, limit, bits));
    }
    if (!_mm256_testz_si256(outside, outside)) return u;
  }
  return g.count;
}

}  // namespace

GemmKernel SelectGemmKernel(int output_lanes) {
  if (!__builtin_cpu_supports("avx2")) return RunGemmPortable;
  switch (output_lanes) {
    case 8:
      return RunGemmAvx2<1>;
    case 16:
      return RunGemmAvx2<2>;
    case 32:
      return RunGemmAvx2<4>;
    case 64:
      return RunGemmAvx2<8>;
    default:
      return RunGemmPortable;
  }
}

}  // namespace tvm_vsq::sim

#else

namespace tvm_vsq::sim {

GemmKernel SelectGemmKernel(int) { return RunGemmPortable; }

}  // namespace tvm_vsq::sim

#endif
