// How vectors lie in DRAM records (docs/numerics.md, section 6), and the units that unpack and pack them.
#ifndef TVM_VSQ_SIM_PACKING_H_
#define TVM_VSQ_SIM_PACKING_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "tvm_vsq/sim/cpu.h"

namespace tvm_vsq::sim {

// A vector: elements of N bits, behind them the scale, which takes no bits and reads as 1 where there is
// none.
struct Packing {
  int vector_size, element_bits, scale_bits;

  int VectorBits() const { return vector_size * element_bits + scale_bits; }
  uint8_t SignBit() const { return static_cast<uint8_t>(1 << (element_bits - 1)); }
};

// Unpacks activation records: one vector each, in whole bytes.
class VectorDecoder {
 public:
  virtual ~VectorDecoder() = default;

  // Writes, for `count` records, codes [count][V], biased [count][V] (the codes with their sign bit flipped,
  // which is the signed element plus 2^(N-1)) and scales [count].
  virtual void Decode(const uint8_t* records, size_t count, uint8_t* codes, uint8_t* biased,
                      int32_t* scales) const = 0;
};

// Unpacks weight records: the vectors of all output lanes, with nothing between them.
class WeightDecoder {
 public:
  virtual ~WeightDecoder() = default;

  // Writes, for `count` records, elements [count][V/4][BO][4], scales [count][BO] and sums [count][BO] of the
  // vectors' elements.
  virtual void Decode(const uint8_t* records, size_t count, int8_t* elements, int32_t* scales,
                      int32_t* sums) const = 0;
};

// The fastest unit that `simd` allows for the format; all compute the same.
std::unique_ptr<const VectorDecoder> MakeVectorDecoder(const Packing& packing, Simd simd);
std::unique_ptr<const WeightDecoder> MakeWeightDecoder(const Packing& packing, int lanes, Simd simd);

// Those of kAvx512; null where it has none for the format.
std::unique_ptr<const VectorDecoder> MakeVectorDecoderAvx512(const Packing& packing);
std::unique_ptr<const WeightDecoder> MakeWeightDecoderAvx512(const Packing& packing, int lanes);

// Packs codes [count][V], each below 2^N, and scales [count] to activation records.
using VectorEncoder = void (*)(const Packing& packing, const uint8_t* codes, const int32_t* scales,
                               size_t count, uint8_t* records);

// The fastest one that `simd` allows for the format; all compute the same.
VectorEncoder SelectVectorEncoder(const Packing& packing, Simd simd);

// That of kAvx512; null in a build for other processors.
VectorEncoder SelectVectorEncoderAvx512(const Packing& packing);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_PACKING_H_
