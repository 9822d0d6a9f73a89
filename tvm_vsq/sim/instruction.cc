#include "tvm_vsq/sim/instruction.h"

namespace tvm_vsq::sim {

std::string Program::Where(size_t index) const {
  const Instruction& instruction = instructions[index];
  return Concat("layer '", layer_names[instruction.layer], "', instruction ", index, " (",
                instruction.info().name, ")");
}

}  // namespace tvm_vsq::sim
