// The PPU with eight lanes at a time: 64 bits until a result is clipped, 32 bits from then on.
#include "tvm_vsq/sim/ppu_kernel.h"

#if TVM_VSQ_X86
#include <limits>
#include <vector>

#include "tvm_vsq/sim/intrinsics.h"
#include "tvm_vsq/sim/rounding.h"

namespace tvm_vsq::sim {
namespace {

// The channels' parameters as one array each, widened.
class Columns {
 public:
  explicit Columns(const ChannelParams* channels, size_t width) : width_(width), values_(5 * width) {
    for (size_t i = 0; i < width; ++i) {
      const ChannelParams& channel = channels[i];
      const int64_t column[] = {channel.mult, channel.shift, RoundingTerm(channel.shift), channel.bias,
                                channel.clip};
      for (size_t k = 0; k < 5; ++k) values_[k * width + i] = column[k];
    }
  }

  const int64_t* mult() const { return values_.data(); }
  const int64_t* shift() const { return values_.data() + width_; }
  const int64_t* half() const { return values_.data() + 2 * width_; }
  const int64_t* bias() const { return values_.data() + 3 * width_; }
  const int64_t* clip() const { return values_.data() + 4 * width_; }

 private:
  const size_t width_;
  std::vector<int64_t> values_;
};

inline TVM_VSQ_TARGET_AVX512 __m512i Load(const int64_t* address) { return _mm512_loadu_si512(address); }

inline TVM_VSQ_TARGET_AVX512 __m512i Multiply(const int32_t* acc, __m512i mult) {
  return _mm512_mul_epi32(_mm512_cvtepi32_epi64(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(acc))),
                          mult);
}
inline TVM_VSQ_TARGET_AVX512 __m512i Multiply(const int64_t* acc, __m512i mult) {
  return _mm512_mullo_epi64(Load(acc), mult);
}

inline TVM_VSQ_TARGET_AVX512 void StoreWide(__m256i y, int32_t* acc) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(acc), y);
}
inline TVM_VSQ_TARGET_AVX512 void StoreWide(__m256i y, int64_t* acc) {
  _mm512_storeu_si512(acc, _mm512_cvtepi32_epi64(y));
}

// Requantize of requantize.h, on V / 8 registers.
template <int kGroups>
inline __attribute__((always_inline)) TVM_VSQ_TARGET_AVX512 int32_t Quantize(const VectorFormat& format,
                                                                             const __m256i* y,
                                                                             uint8_t* codes) {
  __m256i largest = _mm256_abs_epi32(y[0]);  // of -2^31 it is 2^31, unsigned
  for (int k = 1; k < kGroups; ++k) largest = _mm256_max_epu32(largest, _mm256_abs_epi32(y[k]));
  __m128i half = _mm_max_epu32(_mm256_castsi256_si128(largest), _mm256_extracti128_si256(largest, 1));
  half = _mm_max_epu32(half, _mm_shuffle_epi32(half, 0x4e));
  half = _mm_max_epu32(half, _mm_shuffle_epi32(half, 0xb1));
  const Step step(format, static_cast<uint32_t>(_mm_cvtsi128_si32(half)));
  const __m256i low = _mm256_set1_epi32(step.low), high = _mm256_set1_epi32(step.high);
  const __m256i offset = _mm256_set1_epi32(step.offset);
  const __m256i element_min = _mm256_set1_epi32(static_cast<int32_t>(format.element_min));
  const __m256i mask = _mm256_set1_epi32(static_cast<int32_t>(format.code_mask));
  const __m512d point_five = _mm512_set1_pd(0.5), reciprocal = _mm512_set1_pd(step.reciprocal);
  for (int k = 0; k < kGroups; ++k) {
    const __m256i n = _mm256_add_epi32(_mm256_min_epi32(_mm256_max_epi32(y[k], low), high), offset);
    const __m512d quotient = _mm512_mul_pd(_mm512_add_pd(_mm512_cvtepi32_pd(n), point_five), reciprocal);
    const __m256i element = _mm256_add_epi32(_mm512_cvttpd_epi32(quotient), element_min);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(codes + 8 * k),
                     _mm256_cvtepi32_epi8(_mm256_and_si256(element, mask)));
  }
  return step.scale;
}

template <int kGroups, typename Acc>
TVM_VSQ_TARGET_AVX512 void RunPpuAvx512(const PpuOperands<Acc>& g) {
  constexpr size_t kSize = 8 * kGroups;
  const Columns columns(g.channels, g.vectors * kSize);
  const __m512i lowest = _mm512_set1_epi64(g.relu ? 0 : std::numeric_limits<int32_t>::min());
  const __m512i res_bias = _mm512_set1_epi64(g.res_bias), res_mult = _mm512_set1_epi64(g.res_mult);
  const __m512i res_half = _mm512_set1_epi64(RoundingTerm(g.res_shift));
  const __m128i res_shift = _mm_cvtsi32_si128(g.res_shift);
  size_t n = 0;
  for (size_t pixel = 0; pixel < g.pixels; ++pixel) {
    for (size_t j = 0; j < g.vectors; ++j, ++n) {
      __m256i y[kGroups];
      for (size_t k = 0; k < kGroups; ++k) {
        const size_t at = n * kSize + 8 * k, channel = j * kSize + 8 * k;
        const __m512i product = Multiply(g.acc + at, Load(columns.mult() + channel));
        __m512i t = _mm512_srav_epi64(_mm512_add_epi64(product, Load(columns.half() + channel)),
                                      Load(columns.shift() + channel));
        t = _mm512_add_epi64(t, Load(columns.bias() + channel));
        if (g.residual != nullptr) {
          const __m128i codes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(g.residual + at));
          const __m512i element = _mm512_sub_epi64(_mm512_cvtepu8_epi64(codes), res_bias);
          const __m512i value = _mm512_mul_epi32(element, _mm512_set1_epi64(g.residual_scale[n]));
          const __m512i scaled = _mm512_add_epi64(_mm512_mul_epi32(value, res_mult), res_half);
          t = _mm512_add_epi64(t, _mm512_sra_epi64(scaled, res_shift));
        }
        t = _mm512_min_epi64(_mm512_max_epi64(t, lowest), Load(columns.clip() + channel));
        y[k] = _mm512_cvtepi64_epi32(t);
        if (g.wide) StoreWide(y[k], g.acc + at);
      }
      if (!g.wide) g.out_scale[n] = Quantize<kGroups>(g.format, y, g.out + n * kSize);
    }
  }
}

}  // namespace

template <typename Acc>
PpuKernel<Acc> SelectPpuKernelAvx512(int vector_size) {
  switch (vector_size) {
    case 8:
      return RunPpuAvx512<1, Acc>;
    case 16:
      return RunPpuAvx512<2, Acc>;
    case 32:
      return RunPpuAvx512<4, Acc>;
    default:
      return RunPpuAvx512<8, Acc>;
  }
}

}  // namespace tvm_vsq::sim

#else

namespace tvm_vsq::sim {

template <typename Acc>
PpuKernel<Acc> SelectPpuKernelAvx512(int) {
  return nullptr;
}

}  // namespace tvm_vsq::sim

#endif

namespace tvm_vsq::sim {

template PpuKernel<int32_t> SelectPpuKernelAvx512(int);
template PpuKernel<int64_t> SelectPpuKernelAvx512(int);

}  // namespace tvm_vsq::sim
