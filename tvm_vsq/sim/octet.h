// Eight N-bit codes, which fill N whole bytes of a record, and the same codes in the bytes of a 64-bit word:
// how records are unpacked and packed. Code i is in byte i, counted from the least significant one.
#ifndef TVM_VSQ_SIM_OCTET_H_
#define TVM_VSQ_SIM_OCTET_H_

#include <cstdint>
#include <type_traits>

#include "tvm_vsq/sim/bytes.h"

namespace tvm_vsq::sim {

// The same byte eight times.
constexpr uint64_t RepeatByte(uint32_t byte) { return byte * uint64_t{0x0101010101010101}; }

// One step of Spread and Squeeze: fields of kBits * kFields bits, one in each slot of 8 * kFields bits, move
// up to every second slot of their kind or back.
template <int kBits, int kFields>
struct OctetStep {
  static constexpr int kGap = (8 - kBits) * kFields, kSlot = 8 * kFields;
  static constexpr uint64_t kPeriod = kFields == 4   ? 1
                                      : kFields == 2 ? uint64_t{0x0000000100000001}
                                                     : uint64_t{0x0001000100010001};
  static constexpr uint64_t kLow = ((uint64_t{1} << (kBits * kFields)) - 1) * kPeriod, kHigh = kLow << kSlot;

  static constexpr uint64_t Up(uint64_t x) { return (x & kLow) | ((x << kGap) & kHigh); }
  static constexpr uint64_t Down(uint64_t x) { return (x & kLow) | ((x & kHigh) >> kGap); }
};

// Packed to spread. Bits of `packed` from 8 N on do not matter.
template <int kBits>
constexpr uint64_t Spread(uint64_t packed) {
  if constexpr (kBits == 8) return packed;
  return OctetStep<kBits, 1>::Up(OctetStep<kBits, 2>::Up(OctetStep<kBits, 4>::Up(packed)));
}

// Spread to packed; every byte must be below 2^N.
template <int kBits>
constexpr uint64_t Squeeze(uint64_t spread) {
  if constexpr (kBits == 8) return spread;
  return OctetStep<kBits, 4>::Down(OctetStep<kBits, 2>::Down(OctetStep<kBits, 1>::Down(spread)));
}

// Every byte, an N-bit code whose sign bit is flipped, as two's complement.
template <int kBits>
constexpr uint64_t FromBiased(uint64_t biased) {
  // Adding 128 - 2^(N-1) leaves the value + 128 in each byte, without a carry into the next.
  return (biased + RepeatByte(128u - (1u << (kBits - 1)))) ^ RepeatByte(128);
}

// The sum of the eight bytes.
constexpr uint32_t SumBytes(uint64_t bytes) {
  const uint64_t even = uint64_t{0x00ff00ff00ff00ff};
  const uint64_t pairs = (bytes & even) + ((bytes >> 8) & even);
  return static_cast<uint32_t>((pairs * uint64_t{0x0001000100010001}) >> 48);
}

// kSize bytes of a record in at most two accesses, which may overlap; nothing behind them is touched.
template <int kSize>
using OctetWord =
    std::conditional_t<kSize == 8, uint64_t, std::conditional_t<kSize >= 4, uint32_t, uint16_t>>;

template <int kSize>
inline uint64_t ReadBytes(const uint8_t* bytes) {
  static_assert(kSize >= 2 && kSize <= 8);
  using Word = OctetWord<kSize>;
  constexpr int kRest = kSize - static_cast<int>(sizeof(Word));
  const uint64_t low = ReadWord<Word>(bytes);
  return low | uint64_t{ReadWord<Word>(bytes + kRest)} << (8 * kRest);
}

template <int kSize>
inline void WriteBytes(uint8_t* bytes, uint64_t value) {
  static_assert(kSize >= 2 && kSize <= 8);
  using Word = OctetWord<kSize>;
  constexpr int kRest = kSize - static_cast<int>(sizeof(Word));
  WriteWord(bytes, static_cast<Word>(value));
  WriteWord(bytes + kRest, static_cast<Word>(value >> (8 * kRest)));
}

// Calls body(std::integral_constant<int, bits>()), so that widths known at run time become constants.
template <typename Body>
auto WithElementBits(int bits, Body body) {
  switch (bits) {
    case 2:
      return body(std::integral_constant<int, 2>());
    case 3:
      return body(std::integral_constant<int, 3>());
    case 4:
      return body(std::integral_constant<int, 4>());
    case 5:
      return body(std::integral_constant<int, 5>());
    case 6:
      return body(std::integral_constant<int, 6>());
    case 7:
      return body(std::integral_constant<int, 7>());
    default:
      return body(std::integral_constant<int, 8>());
  }
}

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_OCTET_H_
