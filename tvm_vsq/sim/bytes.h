// Little-endian integers in byte buffers, independent of the host.
#ifndef TVM_VSQ_SIM_BYTES_H_
#define TVM_VSQ_SIM_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

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

// The same for the sizes of machine words, as one load or store where the host is little-endian.
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
template <typename Word>
inline Word ReadWord(const uint8_t* bytes) {
  Word word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

template <typename Word>
inline void WriteWord(uint8_t* bytes, Word word) {
  std::memcpy(bytes, &word, sizeof word);
}
#else
template <typename Word>
inline Word ReadWord(const uint8_t* bytes) {
  return static_cast<Word>(ReadLittleEndian(bytes, sizeof(Word)));
}

template <typename Word>
inline void WriteWord(uint8_t* bytes, Word word) {
  WriteLittleEndian(bytes, sizeof word, word);
}
#endif

inline int32_t ReadInt32(const uint8_t* bytes) { return static_cast<int32_t>(ReadWord<uint32_t>(bytes)); }

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_BYTES_H_
