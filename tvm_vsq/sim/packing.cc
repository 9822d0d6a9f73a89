#include "tvm_vsq/sim/packing.h"

#include "tvm_vsq/sim/octet.h"

namespace tvm_vsq::sim {
namespace {

template <int kBits>
constexpr uint64_t kSignBits = RepeatByte(1u << (kBits - 1));

// Eight elements are whole bytes; so is a vector, as its size is a multiple of eight.
template <int kBits>
class PortableVectorDecoder : public VectorDecoder {
 public:
  explicit PortableVectorDecoder(const Packing& packing) : packing_(packing) {}

  void Decode(const uint8_t* records, size_t count, uint8_t* codes, uint8_t* biased,
              int32_t* scales) const override {
    const int size = packing_.vector_size, scale_bits = packing_.scale_bits;
    for (; count > 0; --count) {
      for (int i = 0; i < size; i += 8, records += kBits, codes += 8, biased += 8) {
        const uint64_t octet = Spread<kBits>(ReadBytes<kBits>(records));
        WriteWord(codes, octet);
        WriteWord(biased, octet ^ kSignBits<kBits>);
      }
      *scales++ = scale_bits == 0 ? 1 : Scale(records, scale_bits);
      records += (scale_bits + 7) / 8;
    }
  }

 private:
  static int32_t Scale(const uint8_t* bytes, int bits) {
    return (bits <= 8 ? bytes[0] : ReadWord<uint16_t>(bytes)) & ((1 << bits) - 1);
  }

  const Packing packing_;
};

// A lane's vector begins at any bit, because the scale before it has any width.
template <int kBits>
class PortableWeightDecoder : public WeightDecoder {
 public:
  PortableWeightDecoder(const Packing& packing, int lanes) : packing_(packing), lanes_(lanes) {}

  void Decode(const uint8_t* records, size_t count, int8_t* elements, int32_t* scales,
              int32_t* sums) const override {
    const auto lanes = static_cast<size_t>(lanes_), size = static_cast<size_t>(packing_.vector_size);
    const auto vector_bits = static_cast<size_t>(packing_.VectorBits());
    for (; count > 0; --count) {
      for (size_t lane = 0; lane < lanes; ++lane) {
        sums[lane] = DecodeElements(records, lane * vector_bits, size, elements + 4 * lane, 4 * lanes);
        scales[lane] = Scale(records, (lane + 1) * vector_bits);
      }
      records += (lanes * vector_bits + 7) / 8;
      elements += lanes * size;
      scales += lanes;
      sums += lanes;
    }
  }

 private:
  // The vector at bit `at`, four elements in each row; returns its sum.
  static int32_t DecodeElements(const uint8_t* record, size_t at, size_t size, int8_t* elements,
                                size_t row_bytes) {
    auto* row = reinterpret_cast<uint8_t*>(elements);
    uint32_t sum = 0;
    for (size_t i = 0; i < size; i += 8, at += 8 * kBits, row += 2 * row_bytes) {
      const uint64_t biased = Spread<kBits>(Octet(record + at / 8, at % 8)) ^ kSignBits<kBits>;
      const uint64_t octet = FromBiased<kBits>(biased);
      WriteWord(row, static_cast<uint32_t>(octet));
      WriteWord(row + row_bytes, static_cast<uint32_t>(octet >> 32));
      sum += SumBytes(biased);
    }
    return static_cast<int32_t>(sum) - (static_cast<int32_t>(size) << (kBits - 1));
  }

  // 8 N bits from bit `shift` on. Where that is not 0, a scale follows: there is a further byte.
  static uint64_t Octet(const uint8_t* bytes, size_t shift) {
    const uint64_t octet = ReadBytes<kBits>(bytes);
    if (shift == 0) return octet;
    return octet >> shift | uint64_t{bytes[kBits]} << (8 * kBits - shift);
  }

  // The scale that ends before bit `end`, out of the last three bytes.
  int32_t Scale(const uint8_t* record, size_t end) const {
    if (packing_.scale_bits == 0) return 1;
    const uint8_t* bytes = record + (end + 7) / 8 - 3;
    const size_t unused = (8 - end % 8) % 8;
    const auto window = static_cast<uint32_t>(ReadBytes<3>(bytes));
    return static_cast<int32_t>((window << (8 + unused)) >> (32 - packing_.scale_bits));
  }

  const Packing packing_;
  const int lanes_;
};

template <int kBits>
void Encode(const Packing& packing, const uint8_t* codes, const int32_t* scales, size_t count,
            uint8_t* records) {
  for (size_t n = 0; n < count; ++n) {
    for (int i = 0; i < packing.vector_size; i += 8, codes += 8, records += kBits) {
      WriteBytes<kBits>(records, Squeeze<kBits>(ReadWord<uint64_t>(codes)));
    }
    for (int bit = 0; bit < packing.scale_bits; bit += 8) *records++ = static_cast<uint8_t>(scales[n] >> bit);
  }
}

}  // namespace

std::unique_ptr<const VectorDecoder> MakeVectorDecoder(const Packing& packing, Simd simd) {
  std::unique_ptr<const VectorDecoder> decoder;
  if (simd == Simd::kAvx512) decoder = MakeVectorDecoderAvx512(packing);
  if (decoder != nullptr) return decoder;
  return WithElementBits(packing.element_bits, [&](auto bits) -> std::unique_ptr<const VectorDecoder> {
    return std::make_unique<PortableVectorDecoder<bits>>(packing);
  });
}

std::unique_ptr<const WeightDecoder> MakeWeightDecoder(const Packing& packing, int lanes, Simd simd) {
  std::unique_ptr<const WeightDecoder> decoder;
  if (simd == Simd::kAvx512) decoder = MakeWeightDecoderAvx512(packing, lanes);
  if (decoder != nullptr) return decoder;
  return WithElementBits(packing.element_bits, [&](auto bits) -> std::unique_ptr<const WeightDecoder> {
    return std::make_unique<PortableWeightDecoder<bits>>(packing, lanes);
  });
}

VectorEncoder SelectVectorEncoder(const Packing& packing, Simd simd) {
  const VectorEncoder encoder = simd == Simd::kAvx512 ? SelectVectorEncoderAvx512(packing) : nullptr;
  if (encoder != nullptr) return encoder;
  return WithElementBits(packing.element_bits, [](auto bits) -> VectorEncoder { return Encode<bits>; });
}

}  // namespace tvm_vsq::sim
