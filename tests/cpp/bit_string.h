// Little-endian bit strings, bit by bit: bit i of a record is bit i % 8 of its byte i / 8.
#ifndef TESTS_CPP_BIT_STRING_H_
#define TESTS_CPP_BIT_STRING_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tvm_vsq::testing {

// `width` bits from bit `at` on.
inline int GetBits(const uint8_t* bytes, int at, int width) {
  int value = 0;
  for (int i = 0; i < width; ++i) value |= (bytes[(at + i) / 8] >> (at + i) % 8 & 1) << i;
  return value;
}

// Grows by fields; the last byte is filled with zeros.
class BitString {
 public:
  void Put(int value, int width) {
    for (int i = 0; i < width; ++i, ++bits_) {
      if (bits_ % 8 == 0) bytes_.push_back(0);
      bytes_.back() = static_cast<uint8_t>(bytes_.back() | (value >> i & 1) << bits_ % 8);
    }
  }

  const std::vector<uint8_t>& bytes() const { return bytes_; }

 private:
  std::vector<uint8_t> bytes_;
  int bits_ = 0;
};

// The two's complement reading of the low `bits` bits.
inline int SignExtend(int code, int bits) { return code >> (bits - 1) != 0 ? code - (1 << bits) : code; }

}  // namespace tvm_vsq::testing

#endif  // TESTS_CPP_BIT_STRING_H_
