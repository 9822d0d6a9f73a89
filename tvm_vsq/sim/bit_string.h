// Little-endian bit strings: bit i of a record is bit i % 8 of its byte i / 8.
#ifndef TVM_VSQ_SIM_BIT_STRING_H_
#define TVM_VSQ_SIM_BIT_STRING_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "tvm_vsq/sim/bytes.h"

namespace tvm_vsq::sim {

// Reads fields of up to 32 bits from `bytes[0, size)`, one behind the other. Bits past the end read as zero.
class BitReader {
 public:
  BitReader(const uint8_t* bytes, size_t size) : bytes_(bytes), end_(bytes + size) {}

  uint32_t Take(int width) {
    if (available_ < width) Refill();
    const auto value = static_cast<uint32_t>(window_ & ((uint64_t{1} << width) - 1));
    window_ >>= width;
    available_ -= width;
    return value;
  }

 private:
  void Refill() {
    const size_t count =
        std::min<size_t>(static_cast<size_t>(64 - available_) / 8, static_cast<size_t>(end_ - bytes_));
    window_ |= ReadLittleEndian(bytes_, count) << available_;
    bytes_ += count;
    // Behind the last byte the window holds zeros, of which there are always enough.
    available_ = bytes_ == end_ ? 64 : available_ + static_cast<int>(8 * count);
  }

  const uint8_t* bytes_;
  const uint8_t* end_;
  uint64_t window_ = 0;
  int available_ = 0;
};

// Writes fields of up to 32 bits; Finish writes the last, partial byte.
class BitWriter {
 public:
  explicit BitWriter(uint8_t* bytes) : bytes_(bytes) {}

  void Put(uint32_t value, int width) {
    window_ |= (uint64_t{value} & ((uint64_t{1} << width) - 1)) << used_;
    used_ += width;
    for (; used_ >= 8; used_ -= 8, window_ >>= 8) *bytes_++ = static_cast<uint8_t>(window_);
  }

  void Finish() {
    if (used_ > 0) *bytes_++ = static_cast<uint8_t>(window_);
    used_ = 0;
    window_ = 0;
  }

 private:
  uint8_t* bytes_;
  uint64_t window_ = 0;
  int used_ = 0;
};

// The two's complement reading of the low `bits` bits.
inline int32_t SignExtend(uint32_t code, int bits) {
  const uint32_t sign = uint32_t{1} << (bits - 1);
  return static_cast<int32_t>(code ^ sign) - static_cast<int32_t>(sign);
}

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_BIT_STRING_H_
