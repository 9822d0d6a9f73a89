// Little-endian integers in byte buffers, independent of the host.
#ifndef TVM_VSQ_SIM_BYTES_H_
#define TVM_VSQ_SIM_BYTES_H_

#include <cstddef>
#include <cstdint>

namespace tvm_vsq::sim {

// The first `size` (0 to 8) bytes as an unsigned integer.
inline uint64_t ReadLittleEndian(const uint8_t* bytes, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) value |= uint64_t{bytes[i]} << (8 * i);
  return value;
}

inline void WriteLittleEndian(uint8_t* bytes, size_t size, uint64_t value) {
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(value >> (8 * i));
}

inline int32_t ReadInt32(const uint8_t* bytes) {
  return static_cast<int32_t>(static_cast<uint32_t>(ReadLittleEndian(bytes, 4)));
}

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_BYTES_H_
