#include "tvm_vsq/sim/instruction.h"

namespace tvm_vsq::sim {

std::string Program::Where(size_t index) const {
  const Instruction& instruction = instructions[index];
  const char* opcode = isa::OpcodeName(static_cast<uint64_t>(instruction.opcode));
  return Concat("layer '", layer_names[instruction.layer], "', instruction ", index, " (", opcode, ")");
}

}  // namespace tvm_vsq::sim
