// The PPU with four lanes at a time, of 32-bit accumulators only: AVX2 multiplies 32 by 32 bits.
#include "tvm_vsq/sim/ppu_kernel.h"

#if TVM_VSQ_X86
#include <algorithm>
#include <limits>
#include <vector>

#include "tvm_vsq/sim/bytes.h"
#include "tvm_vsq/sim/intrinsics.h"
#include "tvm_vsq/sim/rounding.h"

#define TVM_VSQ_INLINE_AVX2 inline __attribute__((always_inline)) TVM_VSQ_TARGET_AVX2

namespace tvm_vsq::sim {
namespace {

// Vectors between whose steps there is a division; of so many at once the latencies overlap.
constexpr size_t kBatch = 16;

// rhu(n, 2^shift) as ((n + before) >> shift) - after with a logical shift, which AVX2 has and an arithmetic
// one it has not: adding 2^63 makes n unsigned. Everything wraps at 2^64.
struct LogicalShift {
  uint64_t before, after;

  explicit LogicalShift(int shift)
      : before((uint64_t{1} << 63) + static_cast<uint64_t>(RoundingTerm(shift))),
        after((uint64_t{1} << 63) >> shift) {}
};

// Four neighbouring channels: y is ((acc * mult + before) >> shift) + offset, until residual and clip.
struct Channels {
  uint64_t mult[4], before[4], shift[4], offset[4];
  int64_t clip[4];
};

std::vector<Channels> Widen(const ChannelParams* params, size_t width) {
  std::vector<Channels> channels(width / 4);
  for (size_t i = 0; i < width; ++i) {
    Channels& four = channels[i / 4];
    const LogicalShift shift(params[i].shift);
    four.mult[i % 4] = params[i].mult;
    four.before[i % 4] = shift.before;
    four.shift[i % 4] = params[i].shift;
    four.offset[i % 4] = static_cast<uint64_t>(int64_t{params[i].bias}) - shift.after;
    four.clip[i % 4] = params[i].clip;
  }
  return channels;
}

TVM_VSQ_INLINE_AVX2 __m256i Load(const void* address) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(address));
}

TVM_VSQ_INLINE_AVX2 __m128i LoadFour(const uint8_t* bytes) {
  return _mm_cvtsi32_si128(static_cast<int32_t>(ReadWord<uint32_t>(bytes)));
}

TVM_VSQ_INLINE_AVX2 __m256i Repeat(uint64_t value) { return _mm256_set1_epi64x(static_cast<int64_t>(value)); }

TVM_VSQ_INLINE_AVX2 __m256i Greater(__m256i a, __m256i b) {
  return _mm256_blendv_epi8(b, a, _mm256_cmpgt_epi64(a, b));
}
TVM_VSQ_INLINE_AVX2 __m256i Less(__m256i a, __m256i b) {
  return _mm256_blendv_epi8(a, b, _mm256_cmpgt_epi64(a, b));
}

// The low halves of eight lanes.
TVM_VSQ_INLINE_AVX2 __m256i Narrow(__m256i first, __m256i second) {
  const __m256 halves = _mm256_shuffle_ps(_mm256_castsi256_ps(first), _mm256_castsi256_ps(second), 0x88);
  return _mm256_permute4x64_epi64(_mm256_castps_si256(halves), 0xd8);
}

// What is the same for all lanes of an instruction.
struct Constants {
  __m256i lowest, res_bias, res_mult, res_before, res_after;
  __m128i res_shift;
};

TVM_VSQ_INLINE_AVX2 Constants MakeConstants(const PpuOperands<int32_t>& g) {
  const LogicalShift shift(g.res_shift);
  return {_mm256_set1_epi64x(g.relu ? 0 : std::numeric_limits<int32_t>::min()),
          _mm256_set1_epi32(g.res_bias),
          _mm256_set1_epi64x(g.res_mult),
          Repeat(shift.before),
          Repeat(shift.after),
          _mm_cvtsi32_si128(g.res_shift)};
}

// y of lanes [at, at + 4) of all of g, which are in vector n.
TVM_VSQ_INLINE_AVX2 __m256i PostProcess(const PpuOperands<int32_t>& g, const Channels& channels,
                                        const Constants& c, size_t at, size_t n) {
  const __m256i acc = _mm256_cvtepi32_epi64(_mm_loadu_si128(reinterpret_cast<const __m128i*>(g.acc + at)));
  __m256i t = _mm256_add_epi64(_mm256_mul_epi32(acc, Load(channels.mult)), Load(channels.before));
  t = _mm256_add_epi64(_mm256_srlv_epi64(t, Load(channels.shift)), Load(channels.offset));
  if (g.residual != nullptr) {
    const __m256i codes = _mm256_cvtepu8_epi64(LoadFour(g.residual + at));
    const __m256i value =
        _mm256_mul_epi32(_mm256_sub_epi32(codes, c.res_bias), _mm256_set1_epi64x(g.residual_scale[n]));
    const __m256i scaled = _mm256_add_epi64(_mm256_mul_epi32(value, c.res_mult), c.res_before);
    t = _mm256_add_epi64(t, _mm256_sub_epi64(_mm256_srl_epi64(scaled, c.res_shift), c.res_after));
  }
  return Less(Greater(t, c.lowest), Load(channels.clip));
}

// (n + 1/2) * reciprocal, cut, of four lanes.
TVM_VSQ_INLINE_AVX2 __m128i Quotient(__m128i n, __m256d reciprocal) {
  return _mm256_cvttpd_epi32(
      _mm256_mul_pd(_mm256_add_pd(_mm256_cvtepi32_pd(n), _mm256_set1_pd(0.5)), reciprocal));
}

// The largest |y| of a vector; that of -2^31 is 2^31.
template <int kGroups>
TVM_VSQ_INLINE_AVX2 uint32_t Largest(const __m256i* y) {
  __m256i largest = _mm256_abs_epi32(y[0]);
  for (int k = 1; k < kGroups; ++k) largest = _mm256_max_epu32(largest, _mm256_abs_epi32(y[k]));
  __m128i half = _mm_max_epu32(_mm256_castsi256_si128(largest), _mm256_extracti128_si256(largest, 1));
  half = _mm_max_epu32(half, _mm_shuffle_epi32(half, 0x4e));
  half = _mm_max_epu32(half, _mm_shuffle_epi32(half, 0xb1));
  return static_cast<uint32_t>(_mm_cvtsi128_si32(half));
}

// The element codes of a vector.
template <int kGroups>
TVM_VSQ_INLINE_AVX2 void Quantize(const VectorFormat& format, const Step& step, const __m256i* y,
                                  uint8_t* codes) {
  const __m256i low = _mm256_set1_epi32(step.low), high = _mm256_set1_epi32(step.high);
  const __m256i offset = _mm256_set1_epi32(step.offset);
  const __m128i element_min = _mm_set1_epi16(static_cast<int16_t>(format.element_min));
  const __m128i mask = _mm_set1_epi16(static_cast<int16_t>(format.code_mask));
  const __m256d reciprocal = _mm256_set1_pd(step.reciprocal);
  for (int k = 0; k < kGroups; ++k) {
    const __m256i n = _mm256_add_epi32(_mm256_min_epi32(_mm256_max_epi32(y[k], low), high), offset);
    const __m128i quotients = _mm_packs_epi32(Quotient(_mm256_castsi256_si128(n), reciprocal),
                                              Quotient(_mm256_extracti128_si256(n, 1), reciprocal));
    const __m128i elements = _mm_and_si128(_mm_add_epi16(quotients, element_min), mask);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(codes + 8 * k), _mm_packus_epi16(elements, elements));
  }
}

template <int kGroups>
TVM_VSQ_TARGET_AVX2 void RunPpuAvx2(const PpuOperands<int32_t>& operands) {
  constexpr size_t kSize = 8 * kGroups;
  const PpuOperands<int32_t> g = operands;  // a copy that the stores below cannot change
  const std::vector<Channels> channels = Widen(g.channels, g.vectors * kSize);
  const Constants constants = MakeConstants(g);
  const size_t total = g.pixels * g.vectors;
  __m256i y[kBatch][kGroups];
  Step steps[kBatch];
  size_t j = 0;  // the vector's number within its pixel
  for (size_t n = 0; n < total; n += kBatch) {
    const size_t count = std::min(kBatch, total - n);
    for (size_t b = 0; b < count; ++b) {
      const Channels* four = &channels[j * kSize / 4];
      for (size_t k = 0; k < kGroups; ++k) {
        const size_t at = (n + b) * kSize + 8 * k;
        y[b][k] = Narrow(PostProcess(g, four[2 * k], constants, at, n + b),
                         PostProcess(g, four[2 * k + 1], constants, at + 4, n + b));
        if (g.wide) _mm256_storeu_si256(reinterpret_cast<__m256i*>(g.acc + at), y[b][k]);
      }
      if (++j == g.vectors) j = 0;
    }
    if (g.wide) continue;
    for (size_t b = 0; b < count; ++b) steps[b] = MakeStep(g.format, Largest<kGroups>(y[b]));
    for (size_t b = 0; b < count; ++b) {
      Quantize<kGroups>(g.format, steps[b], y[b], g.out + (n + b) * kSize);
      g.out_scale[n + b] = steps[b].scale;
    }
  }
}

}  // namespace

PpuKernel<int32_t> SelectPpuKernelAvx2(int vector_size) {
  switch (vector_size) {
    case 8:
      return RunPpuAvx2<1>;
    case 16:
      return RunPpuAvx2<2>;
    case 32:
      return RunPpuAvx2<4>;
    case 64:
      return RunPpuAvx2<8>;
    default:
      return nullptr;
  }
}

}  // namespace tvm_vsq::sim

#else

namespace tvm_vsq::sim {

PpuKernel<int32_t> SelectPpuKernelAvx2(int) { return nullptr; }

}  // namespace tvm_vsq::sim

#endif
