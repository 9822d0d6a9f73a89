// The array: what GEMM instructions compute.
#ifndef TVM_VSQ_SIM_GEMM_H_
#define TVM_VSQ_SIM_GEMM_H_

#include "tvm_vsq/sim/gemm_kernel.h"
#include "tvm_vsq/sim/gemm_plan.h"
#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/params.h"
#include "tvm_vsq/sim/scratchpads.h"

namespace tvm_vsq::sim {

class GemmUnit {
 public:
  explicit GemmUnit(const Params& params) : params_(params) {}

  // Makes these accumulators zero.
  void Clear(const MicroOpPlan::Ranges& entries, Scratchpads* pads) const;

  // For instructions whose accumulators cannot overflow; the plan has tiles and accumulators have at most 32
  // bits. Uses up to `threads` threads, which changes no result.
  void ExecuteSafe(const isa::Gemm& gemm, const GemmPlan& plan, int threads, Scratchpads* pads) const;

  // For all others. Throws Error for an accumulator overflow.
  void ExecuteChecked(const Program& program, size_t index, const GemmPlan& plan, Scratchpads* pads) const;

 private:
  uint64_t MacsOfUop() const { return static_cast<uint64_t>(params_.vector_size * params_.output_lanes); }
  GemmOperands Operands(const isa::Gemm& gemm, const GemmPlan& plan, Scratchpads* pads) const;
  template <typename Acc>
  void Clear(const MicroOpPlan::Ranges& entries, Acc* acc) const;
  template <typename Acc>
  void ExecuteChecked(const Program& program, size_t index, const GemmPlan& plan, Acc* acc,
                      Scratchpads* pads) const;

  const Params& params_;
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_GEMM_H_
