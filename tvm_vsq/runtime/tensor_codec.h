// Host tensors to DRAM and back.
#ifndef TVM_VSQ_RUNTIME_TENSOR_CODEC_H_
#define TVM_VSQ_RUNTIME_TENSOR_CODEC_H_

#include <cstdint>
#include <vector>

#include "tvm_vsq/runtime/artifact.h"
#include "tvm_vsq/sim/params.h"

namespace tvm_vsq::runtime {

// Throws sim::Error unless the descriptor describes a tensor that lies inside `dram_bytes`.
void CheckDescriptor(const sim::Params& params, const Descriptor& descriptor, int64_t dram_bytes);

// The bytes of DRAM that the tensor takes.
int64_t TensorBytes(const sim::Params& params, const Descriptor& descriptor);

// Packs a tensor at the descriptor's place, and unpacks it, as its kind wants.
void WriteTensor(const sim::Params& params, const Descriptor& descriptor, const void* tensor,
                 std::vector<uint8_t>* dram);
void ReadTensor(const sim::Params& params, const Descriptor& descriptor, const std::vector<uint8_t>& dram,
                void* tensor);

// Packs int16 [rows, V + 1] at the descriptor's place, whole elements as the digits that the records hold;
// throws sim::Error for an element or a scale outside the format.
void WriteVectors(const sim::Params& params, const Descriptor& descriptor, const int16_t* tensor,
                  std::vector<uint8_t>* dram);

// Unpacks int16 [rows, V + 1].
void ReadVectors(const sim::Params& params, const Descriptor& descriptor, const std::vector<uint8_t>& dram,
                 int16_t* tensor);

// Packs int32 [rows, lanes], and zeros for the channels that fill the last accumulator entry.
void WriteWide(const sim::Params& params, const Descriptor& descriptor, const int32_t* tensor,
               std::vector<uint8_t>* dram);

// Unpacks int32 [rows, lanes], leaving out the channels that fill the last entry.
void ReadWide(const sim::Params& params, const Descriptor& descriptor, const std::vector<uint8_t>& dram,
              int32_t* tensor);

}  // namespace tvm_vsq::runtime

#endif  // TVM_VSQ_RUNTIME_TENSOR_CODEC_H_
