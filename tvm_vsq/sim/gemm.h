// Executes GEMM instructions.
#ifndef TVM_VSQ_SIM_GEMM_H_
#define TVM_VSQ_SIM_GEMM_H_

#include <functional>

#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/params.h"
#include "tvm_vsq/sim/scratchpads.h"

namespace tvm_vsq::sim {

class GemmUnit {
 public:
  explicit GemmUnit(const Params& params) : params_(params) {}

  // Throws Error if an index of a micro-op of `program.instructions[index]` leaves its scratchpad in some
  // iteration.
  void CheckIndices(const Program& program, size_t index, const Scratchpads& pads) const;

  // Executes an instruction that CheckIndices accepted. `poll(work)` is called now and then with the
  // micro-ops done since. Throws Error for an accumulator overflow.
  void Execute(const Program& program, size_t index, const std::function<void(uint64_t)>& poll,
               Scratchpads* pads) const;

 private:
  template <typename Acc>
  void ExecuteOn(const Program& program, size_t index, const std::function<void(uint64_t)>& poll,
                 std::vector<Acc>* accumulators, const Scratchpads& pads) const;

  const Params params_;
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_GEMM_H_
