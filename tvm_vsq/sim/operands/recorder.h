// Records what one unit works on in one layer, while a program runs.
//
// A cycle is computed here once more, one number after the other and in the order of the hardware, from what
// the scratchpads hold before the instruction; behind it the scratchpads must hold the same.
#ifndef TVM_VSQ_SIM_OPERANDS_RECORDER_H_
#define TVM_VSQ_SIM_OPERANDS_RECORDER_H_

#include <cstddef>
#include <cstdint>
#include <functional>

#include "tvm_vsq/sim/execution.h"
#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/operands/rows.h"

namespace tvm_vsq::sim {

struct OperandRequest {
  size_t layer = 0;                // of the program's layer_names
  Engine unit = Engine::kCompute;  // whose cycles are GEMM's, vector or ppu
  size_t lane = 0;                 // output lane, of compute and vector; ppu is recorded with all lanes
  uint64_t skip = 0, cycles = 0;   // those that are left out first, and the most that are recorded
};

// Called behind the instruction: records results, and throws Error for others than the operands give.
using RecordResults = std::function<void()>;

// Record what the instruction is about to work on. docs/simulator.md lists the columns.
RecordResults RecordOperands(const isa::Gemm& gemm, const Execution& execution, size_t lane,
                             OperandRows* rows);
RecordResults RecordOperands(const isa::Ppu& ppu, const Execution& execution, OperandRows* rows);
RecordResults RecordOperands(const isa::Vec& vec, const Execution& execution, size_t lane, OperandRows* rows);

class OperandRecorder {
 public:
  // Throws Error for a unit that is not recorded or does nothing in the layer, a lane that there is not, and
  // for nothing behind `skip`.
  OperandRecorder(const Params& params, const Program& program, const OperandRequest& request);

  // To be called before each instruction; what is returned, behind it. Empty where nothing is recorded.
  RecordResults Record(const Execution& execution);

  // Whether the rest of the program adds nothing.
  bool complete() const { return rows_.complete(); }
  // Of the unit in the layer.
  uint64_t cycles() const { return cycles_; }
  OperandRows& rows() { return rows_; }

 private:
  bool IsOfLayer(const Instruction& instruction) const {
    return instruction.layer == request_.layer && instruction.engine() == request_.unit;
  }

  const OperandRequest request_;
  uint64_t cycles_ = 0;
  OperandRows rows_;
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_OPERANDS_RECORDER_H_
