// What an instruction executes on.
#ifndef TVM_VSQ_SIM_EXECUTION_H_
#define TVM_VSQ_SIM_EXECUTION_H_

#include <cstdint>
#include <vector>

#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/params.h"
#include "tvm_vsq/sim/plan.h"
#include "tvm_vsq/sim/record.h"
#include "tvm_vsq/sim/scratchpads.h"

namespace tvm_vsq::sim {

// The functions Execute(instruction, execution) in sim/instructions/ need a program that was accepted.
struct Execution {
  const Params& params;
  const RecordCodec& codec;
  const Program& program;
  size_t index;             // of the instruction
  const MicroOpPlan* plan;  // null without micro-ops
  bool safe;                // no accumulator can overflow
  int threads;              // that may share the work
  Scratchpads* pads;
  std::vector<uint8_t>* dram;  // program.dram_bytes

  template <typename... Parts>
  [[noreturn]] void Fail(const Parts&... parts) const {
    program.FailAt(index, parts...);
  }
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_EXECUTION_H_
