// What a module is made of: plain data, no TVM.
#ifndef TVM_VSQ_RUNTIME_ARTIFACT_H_
#define TVM_VSQ_RUNTIME_ARTIFACT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tvm_vsq/sim/params.h"

namespace tvm_vsq::runtime {

// One argument of a program and where it lives in DRAM.
struct Descriptor {
  static constexpr int64_t kVectors = 0;  // int16 [rows, V + 1]: rows of V elements and their scale
  static constexpr int64_t kWide = 1;     // int32 [rows, lanes]: accumulators of `lanes` channels
  static constexpr int64_t kSecond = 2;   // int16 [rows, V + 1]: vectors of the second-operand form

  int64_t kind = kVectors;
  int64_t dram_offset = 0;
  int64_t rows = 0;
  int64_t lanes = 0;
  int64_t is_signed = 0;  // elements of kVectors; those of kSecond are
  // Vectors of whole elements of `bits` are so many records each, their digits from the lowest on, with
  // scales of `scale_bits`, which are 1 where that is 0. With 0 bits they have the form of the kind, and are
  // one record.
  int64_t bits = 0, scale_bits = 0, digits = 1;
};

struct ProgramData {
  std::string name;
  std::string instructions;  // isa::kInstructionBytes each
  std::string layer_ids;     // u32 little-endian for each instruction
  std::vector<std::string> layer_names;
  std::string image;  // DRAM from address 0; zeros behind it
  int64_t dram_bytes = 0;
  std::vector<Descriptor> inputs, outputs;
};

struct Artifact {
  sim::Params params;
  std::vector<ProgramData> programs;
  std::string metadata;  // opaque to the runtime
};

}  // namespace tvm_vsq::runtime

#endif  // TVM_VSQ_RUNTIME_ARTIFACT_H_
