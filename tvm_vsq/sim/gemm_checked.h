// GEMM in the order of the instruction, with a look at every accumulator: for what may overflow.
#ifndef TVM_VSQ_SIM_GEMM_CHECKED_H_
#define TVM_VSQ_SIM_GEMM_CHECKED_H_

#include <cstddef>
#include <cstdint>

#include "tvm_vsq/sim/gemm_kernel.h"
#include "tvm_vsq/sim/micro_ops.h"

namespace tvm_vsq::sim {

// One iteration of an instruction: its micro-ops, whose indices are moved by these entries.
struct GemmIteration {
  const Uop* uops;
  size_t count;
  size_t acc, inp, wgt;
  int shift;  // of what is added
};

// Adds what the micro-ops add to `acc`, of which `operands.acc` is ignored. Stops behind the first micro-op
// that brings an accumulator outside `accumulator_bits` and returns its number; `count` if there is none.
template <typename Acc>
size_t RunChecked(const GemmFormat& format, const GemmOperands& operands, const GemmIteration& iteration,
                  int accumulator_bits, Acc* acc);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_GEMM_CHECKED_H_
