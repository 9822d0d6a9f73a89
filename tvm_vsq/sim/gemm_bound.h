// Which GEMM instructions cannot overflow an accumulator, given the data: what formats alone do not rule out.
#ifndef TVM_VSQ_SIM_GEMM_BOUND_H_
#define TVM_VSQ_SIM_GEMM_BOUND_H_

#include "tvm_vsq/sim/gemm_plan.h"
#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/params.h"
#include "tvm_vsq/sim/scratchpads.h"

namespace tvm_vsq::sim {

// Whether accumulators, activations and all scales in the scratchpads keep every accumulator within
// accumulator_bits, whatever the elements of weights are, and in any order of the additions. Rows of
// probabilities do, which sum up to one (docs/numerics.md, section 7). Takes a fraction of what looking at
// every sum does. Needs a plan with tiles, and accumulators of at most 32 bits.
bool OperandsFit(const Params& params, const isa::Gemm& gemm, const GemmPlan& plan, const Scratchpads& pads);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_GEMM_BOUND_H_
