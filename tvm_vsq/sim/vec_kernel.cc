#include "tvm_vsq/sim/vec_kernel.h"

#include <algorithm>
#include <limits>
#include <type_traits>

#include "tvm_vsq/sim/factor.h"
#include "tvm_vsq/sim/rounding.h"
#include "tvm_vsq/sim/saturation.h"
#include "tvm_vsq/sim/segments.h"

#if TVM_VSQ_X86
#include "tvm_vsq/sim/intrinsics.h"
#endif

// These loops are left to the compiler, which makes vector instructions of them for each target below.
#define TVM_VSQ_INLINE inline __attribute__((always_inline))

namespace tvm_vsq::sim {
namespace {

using Op = isa::Vec::Op;

constexpr size_t kMost = 64;  // lanes at a time: of a vector, or of a group without vectors

// A number within which all is clipped to 16 or 18 bits, and beyond which nothing more than that is known.
constexpr int32_t kBeyond = 1 << 20;

// clip(rhu(a - s, 2^shift), -2^20, 2^20) without the 33rd bit of the difference: its half rounded down, which
// 32 bits hold, decides but for what is odd.
TVM_VSQ_INLINE int32_t Argument(int32_t a, int32_t s, int shift) {
  if (shift == 0) return std::clamp(SaturatedDifference(a, s, 0), -kBeyond, kBeyond);
  const int32_t half = (a >> 1) - (s >> 1) - (~a & s & 1);
  if (shift == 1) return std::clamp(half, -kBeyond, kBeyond - 1) + ((a ^ s) & 1);
  return (std::clamp(half >> std::min(shift - 2, 31), -kBeyond, kBeyond) + 1) >> 1;
}
TVM_VSQ_INLINE int64_t Argument(int64_t a, int64_t s, int shift) { return RoundHalfUpShift(a - s, shift); }

// As all of it fits 32 bits: slope * inside / 512 is (slope / 512) * inside and what the division leaves.
TVM_VSQ_INLINE int32_t Inside(int32_t slope, int32_t inside) {
  constexpr int kBits = kSegmentBits;
  constexpr int32_t kRest = (1 << kBits) - 1;
  return (slope >> kBits) * inside + (((slope & kRest) * inside + (1 << (kBits - 1))) >> kBits);
}

template <typename Acc>
TVM_VSQ_INLINE void LookUp(const VecOperands& g, const Acc* values, size_t count, Acc* acc) {
  constexpr int kBits = kSegmentBits;
  constexpr int32_t kHalf = kSegments << (kBits - 1);
  int32_t t[kMost], value[kMost], slope[kMost];
  const int shift = g.shift;
  for (size_t i = 0; i < count; ++i) {
    const Acc argument = Argument(acc[i], values[i], shift);
    t[i] = static_cast<int32_t>(std::min<Acc>(std::max<Acc>(argument, -kHalf), kHalf - 1)) + kHalf;
  }
  for (size_t i = 0; i < count; ++i) {
    value[i] = g.table_values[t[i] >> kBits];
    slope[i] = g.table_slopes[t[i] >> kBits];
  }
  for (size_t i = 0; i < count; ++i) acc[i] = value[i] + Inside(slope[i], t[i] & ((1 << kBits) - 1));
}

// What is added fits `Acc`, and so does what it is added to; in between, unsigned numbers may wrap.
template <typename Acc>
TVM_VSQ_INLINE Acc Sum(Acc acc, int32_t coefficient, Acc value) {
  using Wrapping = std::make_unsigned_t<Acc>;
  return static_cast<Acc>(static_cast<Wrapping>(acc) + static_cast<Wrapping>(static_cast<Acc>(coefficient)) *
                                                           static_cast<Wrapping>(value));
}

template <Op kOp, typename Acc>
TVM_VSQ_INLINE void Apply(const VecOperands& g, bool saturates, const Acc* values, size_t count, Acc* acc) {
  if (kOp == Op::kTable) return LookUp(g, values, count, acc);
  if (kOp == Op::kAdd && saturates) {
    for (size_t i = 0; i < count; ++i) acc[i] = SaturatedSum(acc[i], values[i], g.limit);
    return;
  }
  for (size_t i = 0; i < count; ++i) {
    const Acc value = values[i];
    if (kOp == Op::kMov) acc[i] = value;
    if (kOp == Op::kMax) acc[i] = std::max(acc[i], value);
    if (kOp == Op::kMin) acc[i] = std::min(acc[i], value);
    if (kOp == Op::kAdd) acc[i] = Sum<Acc>(acc[i], 1, values[i]);
    if (kOp == Op::kMac) acc[i] = Sum<Acc>(acc[i], g.coefficient, values[i]);
    if (kOp == Op::kMul) acc[i] = static_cast<Acc>(RoundHalfUpShift(int64_t{acc[i]} * value, g.shift));
    if (kOp == Op::kSub) acc[i] = SaturatedDifference(acc[i], value, g.limit);
    if (kOp == Op::kScale) acc[i] = static_cast<Acc>(Saturated(Scaled(acc[i], value), g.limit));
  }
}

template <Op kOp, typename Acc>
TVM_VSQ_INLINE void RunGroup(const VecOperands& g, Acc* values, size_t vector, const Acc* source, Acc* acc) {
  const size_t step = g.codes == nullptr ? kMost : g.vector_size;
  for (size_t first = 0; first < g.lanes; first += step, vector += g.entries) {
    const size_t count = std::min(step, g.lanes - first);
    if (g.codes != nullptr) {
      const uint8_t* codes = g.codes + vector * g.vector_size;
      const int32_t scale = g.scales[vector];
      for (size_t i = 0; i < count; ++i) values[i] = (codes[i] - g.bias) * scale;
    }
    // All of the group, before any of it is written.
    if (source != nullptr) std::copy_n(source + vector * g.output_lanes, count, values);
    Apply<kOp>(g, source != nullptr, values, count, acc + first);
  }
}

template <Op kOp, typename Acc>
TVM_VSQ_INLINE void Run(const VecOperands& g, size_t inp, const Acc* source, Acc* acc) {
  Acc values[kMost];
  std::fill_n(values, kMost, static_cast<Acc>(g.immediate));
  for (size_t i = 0; i < g.iter_in; ++i, inp += g.inp_in, acc += g.acc_in * g.output_lanes) {
    for (size_t u = 0; u < g.uop_count; ++u)
      RunGroup<kOp>(g, values, g.uops[u].inp + inp, source, acc + g.uops[u].acc * g.output_lanes);
  }
}

template <Op kOp, typename Acc>
void RunPortable(const VecOperands& g, size_t inp, const Acc* source, Acc* acc) {
  Run<kOp>(g, inp, source, acc);
}

#if TVM_VSQ_X86
template <Op kOp>
TVM_VSQ_TARGET_AVX2 void RunAvx2(const VecOperands& g, size_t inp, const int32_t* source, int32_t* acc) {
  Run<kOp>(g, inp, source, acc);
}

// 128 numbers, of which 16 lanes take one each; gathering them from memory takes several times as long.
struct Numbers {
  __m512i parts[8];
};

TVM_VSQ_INLINE TVM_VSQ_TARGET_AVX512 Numbers Load(const int32_t* table) {
  Numbers numbers;
  for (int i = 0; i < 8; ++i) numbers.parts[i] = _mm512_loadu_si512(table + 16 * i);
  return numbers;
}

TVM_VSQ_INLINE TVM_VSQ_TARGET_AVX512 __m512i Take(const Numbers& numbers, __m512i index) {
  __m512i found[4];
  for (int i = 0; i < 4; ++i)
    found[i] = _mm512_permutex2var_epi32(numbers.parts[2 * i], index, numbers.parts[2 * i + 1]);
  const __mmask16 odd = _mm512_test_epi32_mask(index, _mm512_set1_epi32(32));
  const __mmask16 high = _mm512_test_epi32_mask(index, _mm512_set1_epi32(64));
  return _mm512_mask_blend_epi32(high, _mm512_mask_blend_epi32(odd, found[0], found[1]),
                                 _mm512_mask_blend_epi32(odd, found[2], found[3]));
}

TVM_VSQ_INLINE TVM_VSQ_TARGET_AVX512 __m512i LookUp(const Numbers& values, const Numbers& slopes, __m512i x) {
  constexpr int kBits = kSegmentBits;
  static_assert(kSegments == 128, "Take has 7 bits of an index");
  constexpr int32_t kHalf = kSegments << (kBits - 1);
  const __m512i low = _mm512_set1_epi32(-kHalf), high = _mm512_set1_epi32(kHalf - 1);
  const __m512i rest = _mm512_set1_epi32((1 << kBits) - 1), half = _mm512_set1_epi32(1 << (kBits - 1));
  const __m512i t = _mm512_sub_epi32(_mm512_min_epi32(_mm512_max_epi32(x, low), high), low);
  const __m512i segment = _mm512_srli_epi32(t, kBits), inside = _mm512_and_si512(t, rest);
  const __m512i slope = Take(slopes, segment);
  // as in Inside()
  const __m512i whole = _mm512_mullo_epi32(_mm512_srai_epi32(slope, kBits), inside);
  const __m512i part = _mm512_mullo_epi32(_mm512_and_si512(slope, rest), inside);
  const __m512i moved = _mm512_add_epi32(whole, _mm512_srai_epi32(_mm512_add_epi32(part, half), kBits));
  return _mm512_add_epi32(Take(values, segment), moved);
}

// rhu(a * b, 2^shift): of the even lanes, and of the odd ones.
TVM_VSQ_INLINE TVM_VSQ_TARGET_AVX512 __m512i Product(__m512i a, __m512i b, int shift) {
  const __m512i half = _mm512_set1_epi64(RoundingTerm(shift));
  const __m128i count = _mm_cvtsi32_si128(shift);
  const __m512i even = _mm512_mul_epi32(a, b);
  const __m512i odd = _mm512_mul_epi32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32));
  const __m512i low = _mm512_sra_epi64(_mm512_add_epi64(even, half), count);
  const __m512i high = _mm512_sra_epi64(_mm512_add_epi64(odd, half), count);
  return _mm512_mask_blend_epi32(0xaaaa, low, _mm512_slli_epi64(high, 32));
}

TVM_VSQ_INLINE TVM_VSQ_TARGET_AVX512 __mmask16 Negative(__m512i x) {
  return _mm512_cmplt_epi32_mask(x, _mm512_setzero_si512());
}

// What lies outside 32 bits becomes the nearest number in them, where a sum or a difference wrapped.
TVM_VSQ_INLINE TVM_VSQ_TARGET_AVX512 __m512i Unwrapped(__m512i wrapped, __m512i a, __mmask16 wraps) {
  const __m512i nearest =
      _mm512_xor_si512(_mm512_srai_epi32(a, 31), _mm512_set1_epi32(std::numeric_limits<int32_t>::max()));
  return _mm512_mask_mov_epi32(wrapped, wraps, nearest);
}

// a + b, which wraps where both have the sign that the sum has not.
TVM_VSQ_INLINE TVM_VSQ_TARGET_AVX512 __m512i SaturatedSum(__m512i a, __m512i b) {
  const __m512i sum = _mm512_add_epi32(a, b);
  const __m512i signs = _mm512_and_si512(_mm512_xor_si512(a, sum), _mm512_xor_si512(b, sum));
  return Unwrapped(sum, a, Negative(signs));
}

TVM_VSQ_INLINE TVM_VSQ_TARGET_AVX512 __m512i SaturatedDifference(__m512i a, __m512i b) {
  const __m512i difference = _mm512_sub_epi32(a, b);
  const __m512i signs = _mm512_and_si512(_mm512_xor_si512(a, b), _mm512_xor_si512(a, difference));
  return Unwrapped(difference, a, Negative(signs));
}

TVM_VSQ_INLINE TVM_VSQ_TARGET_AVX512 __m512i Clamp(__m512i x, int32_t low, int32_t high) {
  return _mm512_min_epi32(_mm512_max_epi32(x, _mm512_set1_epi32(low)), _mm512_set1_epi32(high));
}

// As the other one.
TVM_VSQ_INLINE TVM_VSQ_TARGET_AVX512 __m512i Argument(__m512i a, __m512i s, int shift) {
  if (shift == 0) return SaturatedDifference(a, s);
  const __m512i one = _mm512_set1_epi32(1);
  const __m512i carried = _mm512_and_si512(_mm512_andnot_si512(a, s), one);
  const __m512i halves = _mm512_sub_epi32(_mm512_srai_epi32(a, 1), _mm512_srai_epi32(s, 1));
  const __m512i half = _mm512_sub_epi32(halves, carried);
  if (shift == 1) {
    const __m512i odd = _mm512_and_si512(_mm512_xor_si512(a, s), one);
    return _mm512_add_epi32(Clamp(half, -kBeyond, kBeyond - 1), odd);
  }
  const __m512i moved = _mm512_sra_epi32(half, _mm_cvtsi32_si128(std::min(shift - 2, 31)));
  return _mm512_srai_epi32(_mm512_add_epi32(Clamp(moved, -kBeyond, kBeyond), one), 1);
}

// Of eight lanes of 64 bits, in each of which the upper half of the factor says nothing.
TVM_VSQ_INLINE TVM_VSQ_TARGET_AVX512 __m512i ScaledHalf(__m512i lane, __m512i factor) {
  const __m512i m = _mm512_and_si512(factor, _mm512_set1_epi64((1 << kFactorBits) - 1));
  const __m512i k = _mm512_and_si512(_mm512_srli_epi64(factor, kFactorBits),
                                     _mm512_set1_epi64((1 << kFactorShiftBits) - 1));
  const __m512i half = _mm512_srli_epi64(_mm512_sllv_epi64(_mm512_set1_epi64(1), k), 1);
  const __m512i result = _mm512_srav_epi64(_mm512_add_epi64(_mm512_mul_epi32(lane, m), half), k);
  const __m512i low = _mm512_set1_epi64(std::numeric_limits<int32_t>::min());
  const __m512i high = _mm512_set1_epi64(std::numeric_limits<int32_t>::max());
  return _mm512_min_epi64(_mm512_max_epi64(result, low), high);
}

TVM_VSQ_INLINE TVM_VSQ_TARGET_AVX512 __m512i Scaled(__m512i lane, __m512i factor) {
  const __m512i even = ScaledHalf(lane, factor);
  const __m512i odd = ScaledHalf(_mm512_srli_epi64(lane, 32), _mm512_srli_epi64(factor, 32));
  return _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
}

// Of sixteen lanes, what Apply() is of many.
template <Op kOp>
TVM_VSQ_INLINE TVM_VSQ_TARGET_AVX512 __m512i Apply(const VecOperands& g, bool saturates, __m512i acc,
                                                   __m512i value) {
  if (kOp == Op::kAdd && saturates) return SaturatedSum(acc, value);
  if (kOp == Op::kSub) return SaturatedDifference(acc, value);
  if (kOp == Op::kScale) return Scaled(acc, value);
  if (kOp == Op::kMov) return value;
  if (kOp == Op::kMax) return _mm512_max_epi32(acc, value);
  if (kOp == Op::kMin) return _mm512_min_epi32(acc, value);
  if (kOp == Op::kAdd) return _mm512_add_epi32(acc, value);
  if (kOp == Op::kMac)
    return _mm512_add_epi32(acc, _mm512_mullo_epi32(value, _mm512_set1_epi32(g.coefficient)));
  return Product(acc, value, g.shift);
}

template <Op kOp>
TVM_VSQ_TARGET_AVX512 void RunAvx512(const VecOperands& operands, size_t inp, const int32_t* source,
                                     int32_t* acc) {
  const VecOperands g = operands;  // a copy that the stores below cannot change
  if (g.lanes % 16 != 0 || g.vector_size % 16 != 0 || g.entries != 1) return Run<kOp>(g, inp, source, acc);
  Numbers values, slopes;
  if (kOp == Op::kTable) {
    values = Load(g.table_values);
    slopes = Load(g.table_slopes);
  }
  const __m512i immediate = _mm512_set1_epi32(g.immediate), bias = _mm512_set1_epi32(g.bias);
  for (size_t i = 0; i < g.iter_in; ++i, inp += g.inp_in, acc += g.acc_in * g.output_lanes) {
    for (size_t u = 0; u < g.uop_count; ++u) {
      int32_t* group = acc + g.uops[u].acc * g.output_lanes;
      const size_t first = (g.uops[u].inp + inp) * g.vector_size;
      int32_t read[kMost];  // all of the group, before any of it is written
      if (source != nullptr) std::copy_n(source + (g.uops[u].inp + inp) * g.output_lanes, g.lanes, read);
      for (size_t lane = 0; lane < g.lanes; lane += 16) {
        const __m512i old = _mm512_loadu_si512(group + lane);
        __m512i value = immediate;
        if (g.codes != nullptr) {
          const __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(g.codes + first + lane));
          const __m512i elements = _mm512_sub_epi32(_mm512_cvtepu8_epi32(codes), bias);
          value = _mm512_mullo_epi32(elements, _mm512_set1_epi32(g.scales[(first + lane) / g.vector_size]));
        }
        if (source != nullptr) value = _mm512_loadu_si512(read + lane);
        const __m512i result = kOp == Op::kTable ? LookUp(values, slopes, Argument(old, value, g.shift))
                                                 : Apply<kOp>(g, source != nullptr, old, value);
        _mm512_storeu_si512(group + lane, result);
      }
    }
  }
}
#endif

template <Op kOp, typename Acc>
VecKernel<Acc> Select([[maybe_unused]] Simd simd) {
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
VecKernel<Acc> SelectVecKernel(Op op, Simd simd) {
  switch (op) {
    case Op::kMov:
      return Select<Op::kMov, Acc>(simd);
    case Op::kMax:
      return Select<Op::kMax, Acc>(simd);
    case Op::kMin:
      return Select<Op::kMin, Acc>(simd);
    case Op::kAdd:
      return Select<Op::kAdd, Acc>(simd);
    case Op::kMac:
      return Select<Op::kMac, Acc>(simd);
    case Op::kMul:
      return Select<Op::kMul, Acc>(simd);
    case Op::kSub:
      return Select<Op::kSub, Acc>(simd);
    case Op::kScale:
      return Select<Op::kScale, Acc>(simd);
    default:
      return Select<Op::kTable, Acc>(simd);
  }
}

template VecKernel<int32_t> SelectVecKernel(Op, Simd);
template VecKernel<int64_t> SelectVecKernel(Op, Simd);

}  // namespace tvm_vsq::sim
