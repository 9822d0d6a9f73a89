// Bytes to a Program that is safe to run: every field, index and address is in range.
#ifndef TVM_VSQ_SIM_DECODE_H_
#define TVM_VSQ_SIM_DECODE_H_

#include <string>
#include <string_view>
#include <vector>

#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/params.h"

namespace tvm_vsq::sim {

// `instructions`: isa::kInstructionBytes each. `layer_ids`: a little-endian u32 index into `layer_names` for
// each instruction. Throws Error for bytes that are no program, naming layer, instruction, field, value and
// limit.
Program DecodeProgram(const Params& params, std::string_view instructions, std::string_view layer_ids,
                      std::vector<std::string> layer_names, uint64_t dram_bytes);

// One instruction word, without range checks; throws Error for an unknown opcode or set bits outside all
// fields.
Instruction DecodeWord(const isa::Layout& layout, const isa::Word& word);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_DECODE_H_
