// Unpacking with the byte permutations of AVX-512 VBMI: a register holds up to 64 elements, the eight of each
// of its 64-bit words taken from a window of 64 bits anywhere in 64 bytes of records. And packing with BMI2.
#include "tvm_vsq/sim/packing.h"

#if TVM_VSQ_X86
#include <algorithm>
#include <vector>

#include "tvm_vsq/sim/intrinsics.h"
#include "tvm_vsq/sim/octet.h"

namespace tvm_vsq::sim {
namespace {

constexpr int kBytes = 64;  // of a register

// Which bytes of a register of records go where, and from which bit on they hold what is asked for.
struct Gather {
  alignas(kBytes) uint8_t bytes[kBytes] = {};   // permutation: windows of eight bytes
  alignas(kBytes) uint8_t shifts[kBytes] = {};  // bit of its window at which an element begins
  // One scale for each vector: a window of four bytes and the bit in it.
  alignas(kBytes) uint8_t scale_bytes[kBytes] = {};
  alignas(kBytes) uint32_t scale_shifts[8] = {};
};

// `vectors` vectors, `stride` bits apart; the first one begins at bit `first`.
Gather MakeGather(const Packing& packing, int vectors, int stride, int first) {
  Gather gather;
  const int size = packing.vector_size, bits = packing.element_bits;
  for (int v = 0; v < vectors; ++v) {
    const int start = first + v * stride;
    for (int i = 0; i < size; ++i) {
      const int window = start + i / 8 * 8 * bits, at = v * size + i;
      gather.bytes[at] = static_cast<uint8_t>(window / 8 + i % 8);
      gather.shifts[at] = static_cast<uint8_t>(window % 8 + i % 8 * bits);
    }
    const int scale = start + size * bits;
    for (int i = 0; i < 4; ++i) gather.scale_bytes[4 * v + i] = static_cast<uint8_t>(scale / 8 + i);
    gather.scale_shifts[v] = static_cast<uint32_t>(scale % 8);
  }
  return gather;
}

inline TVM_VSQ_TARGET_AVX512 __m512i Load(const void* address) { return _mm512_load_si512(address); }

// The first `size` bytes, at most 64; nothing behind them is touched.
inline TVM_VSQ_TARGET_AVX512 __m512i LoadPart(const uint8_t* bytes, size_t size) {
  return _mm512_maskz_loadu_epi8(size >= kBytes ? ~__mmask64{0} : (__mmask64{1} << size) - 1, bytes);
}

inline TVM_VSQ_TARGET_AVX512 __m512i Elements(__m512i records, const Gather& gather, __m512i mask) {
  const __m512i windows = _mm512_permutexvar_epi8(Load(gather.bytes), records);
  return _mm512_and_si512(_mm512_multishift_epi64_epi8(Load(gather.shifts), windows), mask);
}

// Of up to eight vectors.
inline TVM_VSQ_TARGET_AVX512 __m256i Scales(__m512i records, const Gather& gather, int bits) {
  const __m256i windows = _mm512_castsi512_si256(_mm512_permutexvar_epi8(Load(gather.scale_bytes), records));
  const __m256i shifts = _mm256_load_si256(reinterpret_cast<const __m256i*>(gather.scale_shifts));
  return _mm256_and_si256(_mm256_srlv_epi32(windows, shifts), _mm256_set1_epi32((1 << bits) - 1));
}

// The first kCount of eight.
template <int kCount>
inline TVM_VSQ_TARGET_AVX512 void Store(__m256i values, int32_t* to) {
  if constexpr (kCount == 4) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_castsi256_si128(values));
  } else {
    _mm256_mask_storeu_epi32(to, static_cast<__mmask8>((1 << kCount) - 1), values);
  }
}

class VectorDecoderAvx512 : public VectorDecoder {
 public:
  VectorDecoderAvx512(const Packing& packing, int record_bytes, int at_once)
      : packing_(packing),
        record_bytes_(static_cast<size_t>(record_bytes)),
        at_once_(static_cast<size_t>(at_once)),
        gather_(MakeGather(packing, at_once, 8 * record_bytes, 0)) {}

  TVM_VSQ_TARGET_AVX512 void Decode(const uint8_t* records, size_t count, uint8_t* codes, uint8_t* biased,
                                    int32_t* scales) const override {
    const __m512i mask = _mm512_set1_epi8(static_cast<char>((1 << packing_.element_bits) - 1));
    const __m512i sign = _mm512_set1_epi8(static_cast<char>(packing_.SignBit()));
    if (packing_.scale_bits == 0) std::fill_n(scales, count, 1);
    for (size_t n; count > 0; count -= n) {
      n = std::min(count, at_once_);
      const size_t elements = n * static_cast<size_t>(packing_.vector_size);
      // Whole registers are stored faster; what they have too much is overwritten by the vectors that follow.
      const bool whole = count * static_cast<size_t>(packing_.vector_size) >= kBytes && count >= 8;
      const __mmask64 used = ~__mmask64{0} >> (kBytes - elements);
      const __m512i window = LoadPart(records, count * record_bytes_);
      const __m512i code = Elements(window, gather_, mask), flipped = _mm512_xor_si512(code, sign);
      if (whole) {
        _mm512_storeu_si512(codes, code);
        _mm512_storeu_si512(biased, flipped);
      } else {
        _mm512_mask_storeu_epi8(codes, used, code);
        _mm512_mask_storeu_epi8(biased, used, flipped);
      }
      if (packing_.scale_bits > 0) {
        const __m256i values = Scales(window, gather_, packing_.scale_bits);
        if (whole) {
          _mm256_storeu_si256(reinterpret_cast<__m256i*>(scales), values);
        } else {
          _mm256_mask_storeu_epi32(scales, static_cast<__mmask8>((1 << n) - 1), values);
        }
      }
      records += n * record_bytes_;
      codes += elements;
      biased += elements;
      scales += n;
    }
  }

 private:
  const Packing packing_;
  const size_t record_bytes_, at_once_;
  const Gather gather_;
};

// Elements of eight bits, which are bytes already, between scales that keep them from filling registers.
class ByteDecoder : public VectorDecoder {
 public:
  explicit ByteDecoder(const Packing& packing) : packing_(packing) {}

  TVM_VSQ_TARGET_AVX512 void Decode(const uint8_t* records, size_t count, uint8_t* codes, uint8_t* biased,
                                    int32_t* scales) const override {
    const Packing packing = packing_;  // a copy that the stores below cannot change
    const __m128i sign = _mm_set1_epi8(static_cast<char>(packing.SignBit()));
    const int mask = (1 << packing.scale_bits) - 1;
    for (size_t n = 0; n < count; ++n) {
      for (int i = 0; i < packing.vector_size; i += 16, records += 16, codes += 16, biased += 16) {
        const __m128i code = _mm_loadu_si128(reinterpret_cast<const __m128i*>(records));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(codes), code);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(biased), _mm_xor_si128(code, sign));
      }
      scales[n] = (packing.scale_bits <= 8 ? *records : ReadWord<uint16_t>(records)) & mask;
      records += packing.scale_bits <= 8 ? 1 : 2;
    }
  }

 private:
  const Packing packing_;
};

// kLanes output lanes at a time: V/4 rows of 4 * kLanes bytes in the scratchpad.
template <int kLanes>
class WeightDecoderAvx512 : public WeightDecoder {
 public:
  WeightDecoderAvx512(const Packing& packing, int lanes)
      : packing_(packing),
        lanes_(static_cast<size_t>(lanes)),
        record_bytes_(static_cast<size_t>((lanes * packing.VectorBits() + 7) / 8)) {
    for (int lane = 0; lane < lanes; lane += kLanes) {
      const int bit = lane * packing.VectorBits();
      steps_.push_back(
          {static_cast<size_t>(bit / 8), MakeGather(packing, kLanes, packing.VectorBits(), bit % 8)});
    }
    const int rows = packing.vector_size / 4;
    for (int row = 0; row < rows; ++row) {
      for (int lane = 0; lane < kLanes; ++lane) {
        rows_[row * kLanes + lane] = static_cast<uint32_t>(lane * rows + row);
      }
    }
  }

  TVM_VSQ_TARGET_AVX512 void Decode(const uint8_t* records, size_t count, int8_t* elements, int32_t* scales,
                                    int32_t* sums) const override {
    const uint8_t* end = records + count * record_bytes_;
    const __m512i mask = _mm512_set1_epi8(static_cast<char>((1 << packing_.element_bits) - 1));
    const __m512i sign = _mm512_set1_epi8(static_cast<char>(packing_.SignBit()));
    const size_t rows = static_cast<size_t>(packing_.vector_size) / 4;
    if (packing_.scale_bits == 0) std::fill_n(scales, count * lanes_, 1);
    for (; count > 0; --count, records += record_bytes_, elements += (rows - 1) * 4 * lanes_) {
      for (const Step& step : steps_) {
        const uint8_t* first = records + step.offset;
        const __m512i window = LoadPart(first, static_cast<size_t>(end - first));
        const __m512i code = Elements(window, step.gather, mask);
        // (code ^ sign) - sign extends the sign.
        const __m512i biased = _mm512_xor_si512(code, sign);
        const __m512i value = _mm512_sub_epi8(biased, sign);
        StoreRows(_mm512_permutexvar_epi32(Load(rows_), value), rows, elements);
        StoreSums(biased, sums);
        if (packing_.scale_bits > 0) {
          Store<kLanes>(Scales(window, step.gather, packing_.scale_bits), scales);
        }
        elements += 4 * kLanes;
        scales += kLanes;
        sums += kLanes;
      }
    }
  }

 private:
  struct Step {
    size_t offset;
    Gather gather;
  };

  // Rows of 4 * kLanes bytes each.
  TVM_VSQ_TARGET_AVX512 void StoreRows(__m512i interleaved, size_t rows, int8_t* elements) const {
    const size_t stride = 4 * lanes_;
    if (kLanes == 4 && rows == 4) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(elements), _mm512_castsi512_si128(interleaved));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(elements + stride),
                       _mm512_extracti32x4_epi32(interleaved, 1));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(elements + 2 * stride),
                       _mm512_extracti32x4_epi32(interleaved, 2));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(elements + 3 * stride),
                       _mm512_extracti32x4_epi32(interleaved, 3));
      return;
    }
    alignas(kBytes) int8_t bytes[kBytes];
    _mm512_store_si512(bytes, interleaved);
    for (size_t row = 0; row < rows; ++row)
      std::copy_n(bytes + row * 4 * kLanes, 4 * kLanes, elements + row * stride);
  }

  TVM_VSQ_TARGET_AVX512 void StoreSums(__m512i biased, int32_t* sums) const {
    const int size = packing_.vector_size;
    __m512i sum = _mm512_sad_epu8(biased, _mm512_setzero_si512());  // of eight elements each
    if (size >= 16) sum = _mm512_add_epi64(sum, _mm512_permutex_epi64(sum, 0xb1));
    if (size >= 32) sum = _mm512_add_epi64(sum, _mm512_permutex_epi64(sum, 0x4e));
    if (size >= 64) sum = _mm512_add_epi64(sum, _mm512_shuffle_i64x2(sum, sum, 0x4e));
    const auto every = static_cast<__mmask8>(size == 8 ? 0xff : size == 16 ? 0x55 : size == 32 ? 0x11 : 0x01);
    const __m256i narrow = _mm512_cvtepi64_epi32(_mm512_maskz_compress_epi64(every, sum));
    Store<kLanes>(_mm256_sub_epi32(narrow, _mm256_set1_epi32(size * packing_.SignBit())), sums);
  }

  const Packing packing_;
  const size_t lanes_, record_bytes_;
  std::vector<Step> steps_;
  alignas(kBytes) uint32_t rows_[kBytes / 4] = {};
};

#define TVM_VSQ_TARGET_BMI2 __attribute__((target("bmi2")))

// Eight codes at a time are squeezed by one instruction.
template <int kBits>
TVM_VSQ_TARGET_BMI2 void Encode(const Packing& packing, const uint8_t* codes, const int32_t* scales,
                                size_t count, uint8_t* records) {
  for (size_t n = 0; n < count; ++n) {
    for (int i = 0; i < packing.vector_size; i += 8, codes += 8, records += kBits) {
      WriteBytes<kBits>(records, _pext_u64(ReadWord<uint64_t>(codes), RepeatByte((1u << kBits) - 1)));
    }
    for (int bit = 0; bit < packing.scale_bits; bit += 8) *records++ = static_cast<uint8_t>(scales[n] >> bit);
  }
}

// Whether `vectors` vectors fit a register, which begins with the byte in which the first of them begins.
bool Fits(const Packing& packing, int vectors) {
  const int before = packing.VectorBits() % 8 == 0 ? 0 : 7;
  return before + vectors * packing.VectorBits() <= 8 * kBytes;
}

}  // namespace

std::unique_ptr<const VectorDecoder> MakeVectorDecoderAvx512(const Packing& packing) {
  if (packing.element_bits == 8 && packing.scale_bits > 0 && packing.vector_size % 16 == 0)
    return std::make_unique<ByteDecoder>(packing);
  const int record_bytes = (packing.VectorBits() + 7) / 8;
  const int at_once = std::min(kBytes / packing.vector_size, kBytes / record_bytes);
  if (at_once == 0) return nullptr;
  return std::make_unique<VectorDecoderAvx512>(packing, record_bytes, at_once);
}

std::unique_ptr<const WeightDecoder> MakeWeightDecoderAvx512(const Packing& packing, int lanes) {
  // A window of 64 bits has no room for eight 8-bit elements that begin inside a byte.
  if (packing.element_bits == 8 && packing.scale_bits % 8 != 0) return nullptr;
  int at_once = std::min(kBytes / packing.vector_size, lanes);
  while (at_once > 1 && !Fits(packing, at_once)) at_once /= 2;
  if (!Fits(packing, at_once)) return nullptr;
  switch (at_once) {
    case 1:
      return std::make_unique<WeightDecoderAvx512<1>>(packing, lanes);
    case 2:
      return std::make_unique<WeightDecoderAvx512<2>>(packing, lanes);
    case 4:
      return std::make_unique<WeightDecoderAvx512<4>>(packing, lanes);
    default:
      return std::make_unique<WeightDecoderAvx512<8>>(packing, lanes);
  }
}

VectorEncoder SelectVectorEncoderAvx512(const Packing& packing) {
  return WithElementBits(packing.element_bits, [](auto bits) -> VectorEncoder { return Encode<bits>; });
}

}  // namespace tvm_vsq::sim

#else

namespace tvm_vsq::sim {

std::unique_ptr<const VectorDecoder> MakeVectorDecoderAvx512(const Packing&) { return nullptr; }
std::unique_ptr<const WeightDecoder> MakeWeightDecoderAvx512(const Packing&, int) { return nullptr; }
VectorEncoder SelectVectorEncoderAvx512(const Packing&) { return nullptr; }

}  // namespace tvm_vsq::sim

#endif
