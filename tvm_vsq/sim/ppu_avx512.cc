// The PPU with eight lanes at a time, of 32-bit accumulators only: in doubles, which hold every number that
// the unit knows, and which AVX-512 rounds down where an instruction says so.
#include "tvm_vsq/sim/ppu_kernel.h"

#if TVM_VSQ_X86
#include <algorithm>
#include <limits>

#include "tvm_vsq/sim/intrinsics.h"

#define TVM_VSQ_INLINE_AVX512 inline __attribute__((always_inline)) TVM_VSQ_TARGET_AVX512

namespace tvm_vsq::sim {
namespace {

constexpr size_t kBatch = 16;  // vectors: their scales fill a register
constexpr size_t kLanes = 16;  // of a register of int32
constexpr int kDown = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;

// A double of [2^51, 2^52) is a number of halves, and one of [2^28, 2^29) one of steps of 2^-24: sums with
// these constants are rounded to that, and have whole numbers, which may be negative, from bit 1 and from bit
// 24 on.
constexpr double kHalves = 1.5 * (int64_t{1} << 51), kSteps = 1.5 * (1 << 28);

// The lower and the upper eight lanes of sixteen.
struct Doubles {
  __m512d low, high;
};

TVM_VSQ_INLINE_AVX512 Doubles Widen(__m512i lanes) {
  return {_mm512_cvtepi32_pd(_mm512_castsi512_si256(lanes)),
          _mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(lanes, 1))};
}

// The floors of lanes that are int32.
TVM_VSQ_INLINE_AVX512 __m512i Floor(Doubles lanes) {
  return _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvt_roundpd_epi32(lanes.low, kDown)),
                            _mm512_cvt_roundpd_epi32(lanes.high, kDown), 1);
}

// The same of lanes - kHalves.
TVM_VSQ_INLINE_AVX512 __m512i FloorOfHalves(Doubles lanes) {
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  return _mm512_permutex2var_epi32(_mm512_srli_epi64(_mm512_castpd_si512(lanes.low), 1), even,
                                   _mm512_srli_epi64(_mm512_castpd_si512(lanes.high), 1));
}

// The low bytes of the floors of lanes - kSteps.
TVM_VSQ_INLINE_AVX512 __m128i FloorOfSteps(Doubles lanes) {
  const __m512i fourth =
      _mm512_castsi128_si512(_mm_setr_epi8(3, 11, 19, 27, 35, 43, 51, 59, 67, 75, 83, 91, 99, 107, 115, 123));
  return _mm512_castsi512_si128(
      _mm512_permutex2var_epi8(_mm512_castpd_si512(lanes.low), fourth, _mm512_castpd_si512(lanes.high)));
}

// Sixteen neighbouring channels. y is floor(acc * factor + bias + 1/2), until residual and clip: factor,
// which is mult / 2^shift, is exact; so are the others, which are kHalves more; and a sum that is rounded
// down to halves has the floor of the exact one, below 2^48. (With shift 0, the half changes no floor.)
struct Channels {
  Doubles factor, addend, clip;
};

// 2^-shift: the exponent's bits.
TVM_VSQ_INLINE_AVX512 __m512d PowerOf(__m256i shifts) {
  const __m512i exponents = _mm512_sub_epi64(_mm512_set1_epi64(1023), _mm512_cvtepu32_epi64(shifts));
  return _mm512_castsi512_pd(_mm512_slli_epi64(exponents, 52));
}

TVM_VSQ_INLINE_AVX512 Channels Load(const ChannelParams* params) {
  static_assert(sizeof(ChannelParams) == 12 && offsetof(ChannelParams, shift) == 2 &&
                offsetof(ChannelParams, bias) == 4 && offsetof(ChannelParams, clip) == 8);
  const auto* words = reinterpret_cast<const int32_t*>(params);
  const __m512i first = _mm512_loadu_si512(words), second = _mm512_loadu_si512(words + 16);
  const __m512i third = _mm512_loadu_si512(words + 32);
  // Every third word, of which eleven, or ten for the last one, lie in the first two registers.
  const __m512i every = _mm512_setr_epi32(0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36, 39, 42, 45);
  const auto pick = [&](int word) TVM_VSQ_TARGET_AVX512 {
    const __m512i indices = _mm512_add_epi32(every, _mm512_set1_epi32(word));
    const __mmask16 in_third = _mm512_cmpgt_epi32_mask(indices, _mm512_set1_epi32(31));
    return _mm512_mask_permutexvar_epi32(_mm512_permutex2var_epi32(first, indices, second), in_third, indices,
                                         third);
  };
  const __m512i word = pick(0), shift = _mm512_and_si512(_mm512_srli_epi32(word, 16), _mm512_set1_epi32(255));
  const Doubles mult = Widen(_mm512_and_si512(word, _mm512_set1_epi32(65535))), bias = Widen(pick(1));
  const Doubles clip = Widen(pick(2));
  const __m512d halves = _mm512_set1_pd(kHalves), half = _mm512_set1_pd(kHalves + 0.5);
  return {{_mm512_mul_pd(mult.low, PowerOf(_mm512_castsi512_si256(shift))),
           _mm512_mul_pd(mult.high, PowerOf(_mm512_extracti64x4_epi64(shift, 1)))},
          {_mm512_add_pd(bias.low, half), _mm512_add_pd(bias.high, half)},
          {_mm512_add_pd(clip.low, halves), _mm512_add_pd(clip.high, halves)}};
}

// What is the same for all lanes of an instruction; lowest is kHalves more.
struct Constants {
  __m512d lowest, res_factor;
  __m512i res_bias;
};

// rhu(q * s * res_mult, 2^res_shift) of eight lanes.
TVM_VSQ_INLINE_AVX512 __m512d Scaled(__m512d value, __m512d factor) {
  return _mm512_roundscale_pd(_mm512_fmadd_round_pd(value, factor, _mm512_set1_pd(0.5), kDown), kDown);
}

// y of lanes [at, at + 16) of all of g, which are in vector n.
template <bool kResidual>
TVM_VSQ_INLINE_AVX512 __m512i PostProcess(const PpuOperands<int32_t>& g, const Channels& channels,
                                          const Constants& c, size_t at, size_t n) {
  const Doubles acc = Widen(_mm512_loadu_si512(g.acc + at));
  Doubles t = {_mm512_fmadd_round_pd(acc.low, channels.factor.low, channels.addend.low, kDown),
               _mm512_fmadd_round_pd(acc.high, channels.factor.high, channels.addend.high, kDown)};
  if constexpr (kResidual) {
    const __m512i codes =
        _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(g.residual + at)));
    const Doubles value = Widen(
        _mm512_mullo_epi32(_mm512_sub_epi32(codes, c.res_bias), _mm512_set1_epi32(g.residual_scale[n])));
    t = {_mm512_add_pd(t.low, Scaled(value.low, c.res_factor)),
         _mm512_add_pd(t.high, Scaled(value.high, c.res_factor))};
  }
  return FloorOfHalves({_mm512_min_pd(_mm512_max_pd(t.low, c.lowest), channels.clip.low),
                        _mm512_min_pd(_mm512_max_pd(t.high, c.lowest), channels.clip.high)});
}

// The largest lane of each of sixteen registers, in their order.
TVM_VSQ_INLINE_AVX512 __m512i LargestOfEach(const __m512i* lanes) {
  __m512i fours[4];
  for (size_t i = 0; i < 4; ++i) {
    __m512i pairs[2];
    for (size_t j = 0; j < 2; ++j) {
      const __m512i a = lanes[4 * i + 2 * j], b = lanes[4 * i + 2 * j + 1];
      pairs[j] = _mm512_max_epu32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    }
    fours[i] = _mm512_max_epu32(_mm512_unpacklo_epi64(pairs[0], pairs[1]),
                                _mm512_unpackhi_epi64(pairs[0], pairs[1]));
  }
  __m512i eights[2];
  for (size_t i = 0; i < 2; ++i) {
    eights[i] = _mm512_max_epu32(_mm512_shuffle_i64x2(fours[2 * i], fours[2 * i + 1], 0x44),
                                 _mm512_shuffle_i64x2(fours[2 * i], fours[2 * i + 1], 0xee));
  }
  return _mm512_max_epu32(_mm512_shuffle_i64x2(eights[0], eights[1], 0x88),
                          _mm512_shuffle_i64x2(eights[0], eights[1], 0xdd));
}

// Step of sixteen vectors, and addend: an element is floor(clip(y, low, high) * reciprocal + addend -
// kSteps). The addend is (offset + 1/2) * reciprocal + element_min + kSteps. What all roundings move the sum
// by is below 2^-23; and as a step is below 2^19, the exact sum is at least 2^-20 away from every integer.
struct Steps {
  alignas(64) int32_t scale[kBatch], low[kBatch], high[kBatch];
  alignas(64) double reciprocal[kBatch], addend[kBatch];

  TVM_VSQ_INLINE_AVX512 void Make(const VectorFormat& format, __m512i largest) {
    const __m512i most = _mm512_set1_epi32(format.scale_max * format.full_scale);
    const __m512i clipped = _mm512_min_epu32(largest, most);
    const Doubles sum = Widen(_mm512_add_epi32(clipped, _mm512_set1_epi32(format.full_scale - 1)));
    const __m512d half = _mm512_set1_pd(0.5), full = _mm512_set1_pd(format.full_scale_reciprocal);
    const __m512i wanted = Floor({_mm512_mul_pd(_mm512_add_pd(sum.low, half), full),
                                  _mm512_mul_pd(_mm512_add_pd(sum.high, half), full)});
    const __m512i scales = _mm512_max_epi32(wanted, _mm512_set1_epi32(1));
    const __m512i steps = _mm512_sllv_epi32(scales, _mm512_set1_epi32(format.guard_bits));
    const __m512i lows = _mm512_mullo_epi32(steps, _mm512_set1_epi32(format.element_min));
    const __m512i offsets = _mm512_sub_epi32(_mm512_srli_epi32(steps, 1), lows);
    const Doubles step = Widen(steps), offset = Widen(offsets);
    const __m512d one = _mm512_set1_pd(1), lowest = _mm512_set1_pd(format.element_min + kSteps);
    const __m512d first = _mm512_div_pd(one, step.low), second = _mm512_div_pd(one, step.high);
    _mm512_store_si512(scale, scales);
    _mm512_store_si512(low, lows);
    _mm512_store_si512(high, _mm512_mullo_epi32(steps, _mm512_set1_epi32(format.element_max)));
    _mm512_store_pd(reciprocal, first);
    _mm512_store_pd(reciprocal + 8, second);
    _mm512_store_pd(addend, _mm512_fmadd_pd(_mm512_add_pd(offset.low, half), first, lowest));
    _mm512_store_pd(addend + 8, _mm512_fmadd_pd(_mm512_add_pd(offset.high, half), second, lowest));
  }

  // The codes of sixteen lanes of vector b.
  TVM_VSQ_INLINE_AVX512 __m128i Codes(__m512i y, size_t b, __m128i mask) const {
    const Doubles clipped =
        Widen(_mm512_min_epi32(_mm512_max_epi32(y, _mm512_set1_epi32(low[b])), _mm512_set1_epi32(high[b])));
    const __m512d factor = _mm512_set1_pd(reciprocal[b]), sum = _mm512_set1_pd(addend[b]);
    return _mm_and_si128(
        FloorOfSteps({_mm512_fmadd_pd(clipped.low, factor, sum), _mm512_fmadd_pd(clipped.high, factor, sum)}),
        mask);
  }
};

// Pixels inside, so that what channels are stays in registers; of a vector, kParts registers.
template <size_t kParts, bool kResidual>
TVM_VSQ_TARGET_AVX512 void RunPpu(const PpuOperands<int32_t>& operands) {
  constexpr size_t kSize = kLanes * kParts;
  const PpuOperands<int32_t> g = operands;  // a copy that the stores below cannot change
  const Constants constants = {
      _mm512_set1_pd(kHalves + (g.relu ? 0 : std::numeric_limits<int32_t>::min())),
      _mm512_mul_pd(_mm512_set1_pd(g.res_mult), PowerOf(_mm256_set1_epi32(g.res_shift))),
      _mm512_set1_epi32(g.res_bias)};
  const __m128i mask = _mm_set1_epi8(static_cast<char>(g.format.code_mask));
  const size_t total = g.pixels * g.vectors;
  Channels channels[kParts];
  __m512i y[kBatch][kParts], largest[kBatch] = {};
  size_t numbers[kBatch];  // of the vectors of a batch
  Steps steps;
  size_t vector = 0, pixel = 0;
  for (size_t done = 0; done < total; done += kBatch) {
    const size_t count = std::min(kBatch, total - done);
    for (size_t b = 0; b < count; ++b) {
      if (pixel == 0) {
        for (size_t part = 0; part < kParts; ++part)
          channels[part] = Load(g.channels + vector * kSize + part * kLanes);
      }
      const size_t n = pixel * g.vectors + vector;
      numbers[b] = n;
      for (size_t part = 0; part < kParts; ++part) {
        const size_t at = n * kSize + part * kLanes;
        const __m512i lanes = PostProcess<kResidual>(g, channels[part], constants, at, n);
        if (g.wide) {
          _mm512_storeu_si512(g.acc + at, lanes);
          continue;
        }
        const __m512i magnitudes = _mm512_abs_epi32(lanes);
        y[b][part] = lanes;
        largest[b] = part == 0 ? magnitudes : _mm512_max_epu32(largest[b], magnitudes);
      }
      if (++pixel < g.pixels) continue;
      pixel = 0;
      ++vector;
    }
    if (g.wide) continue;
    steps.Make(g.format, LargestOfEach(largest));
    for (size_t b = 0; b < count; ++b) {
      const size_t n = numbers[b];
      g.out_scale[n] = steps.scale[b];
      for (size_t part = 0; part < kParts; ++part) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(g.out + n * kSize + part * kLanes),
                         steps.Codes(y[b][part], b, mask));
      }
    }
  }
}

template <size_t kParts>
void RunPpuAvx512(const PpuOperands<int32_t>& operands) {
  if (operands.residual == nullptr) {
    RunPpu<kParts, false>(operands);
  } else {
    RunPpu<kParts, true>(operands);
  }
}

}  // namespace

PpuKernel<int32_t> SelectPpuKernelAvx512(int vector_size) {
  switch (vector_size) {
    case 16:
      return RunPpuAvx512<1>;
    case 32:
      return RunPpuAvx512<2>;
    case 64:
      return RunPpuAvx512<4>;
    default:
      return nullptr;
  }
}

}  // namespace tvm_vsq::sim

#else

namespace tvm_vsq::sim {

PpuKernel<int32_t> SelectPpuKernelAvx512(int) { return nullptr; }

}  // namespace tvm_vsq::sim

#endif
