// Instructions and programs, decoded.
#ifndef TVM_VSQ_SIM_INSTRUCTION_H_
#define TVM_VSQ_SIM_INSTRUCTION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tvm_vsq/isa/isa.h"
#include "tvm_vsq/sim/error.h"
#include "tvm_vsq/sim/params.h"

namespace tvm_vsq::sim {

using isa::Engine;
using isa::kEngineCount;
using isa::kEngineNames;

struct Instruction {
  isa::AnyInstruction body;
  isa::TokenBits tokens = 0;
  uint32_t layer = 0;

  const isa::InstructionInfo& info() const { return isa::kInstructions[body.index()]; }
  Engine engine() const { return info().engine; }
};

struct Program {
  std::vector<Instruction> instructions;
  std::vector<std::string> layer_names;
  uint64_t dram_bytes = 0;

  // "layer 'conv1', instruction 17 (LOAD)"
  std::string Where(size_t index) const;

  template <typename... Parts>
  [[noreturn]] void FailAt(size_t index, const Parts&... parts) const {
    Fail(Where(index), ": ", parts...);
  }
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_INSTRUCTION_H_
