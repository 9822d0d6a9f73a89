// GEMM: products of vectors, scaled and accumulated; or zeros.
#ifndef TVM_VSQ_SIM_INSTRUCTIONS_GEMM_H_
#define TVM_VSQ_SIM_INSTRUCTIONS_GEMM_H_

#include <memory>

#include "tvm_vsq/sim/declaration.h"
#include "tvm_vsq/sim/execution.h"
#include "tvm_vsq/sim/plan.h"

namespace tvm_vsq::sim {

template <>
struct Declared<isa::Gemm> : Defaults<isa::Gemm> {
  static constexpr bool kMicroOps = true;
  static constexpr bool kBounds = true;

  static MicroOpLoops Loops(const isa::Gemm& gemm) {
    MicroOpLoops loops{gemm.uop_begin, gemm.uop_count, gemm.iter_out, gemm.iter_in};
    if (gemm.reset) {
      loops.Add({Pad::kAcc, Use::kFill, &isa::Uop::acc, gemm.acc_out, gemm.acc_in});
      return loops;
    }
    loops.Add({Pad::kAcc, Use::kAccumulate, &isa::Uop::acc, gemm.acc_out, gemm.acc_in});
    loops.Add({Pad::kInp, Use::kRead, &isa::Uop::inp, gemm.inp_out, gemm.inp_in});
    loops.Add({Pad::kWgt, Use::kRead, &isa::Uop::wgt, gemm.wgt_out, gemm.wgt_in});
    return loops;
  }

  static std::unique_ptr<const MicroOpPlan> MakePlan(const Params& params, const isa::Gemm& gemm,
                                                     const isa::Uop* uops);

  static int64_t Cycles(const Params& params, const isa::Gemm& gemm) {
    return params.gemm_pipeline_cycles + static_cast<int64_t>(Loops(gemm).Visits());
  }

  template <typename Count>
  static void Events(const Params& params, const isa::Gemm& gemm, Count count) {
    if (gemm.reset) return;
    const int64_t lanes = static_cast<int64_t>(Loops(gemm).Visits()) * params.output_lanes;
    const bool weight_scales = params.weight_scale_bits > 0, act_scales = params.activation_scale_bits > 0;
    count(isa::Event::kMacs, lanes * params.vector_size);
    // With scales on one side only, that scale is the factor: nothing multiplies two scales.
    if (weight_scales && act_scales) count(isa::Event::kScaleProducts, lanes);
    if (weight_scales || act_scales) count(isa::Event::kScaleMacs, lanes);
  }

  // Whether no accumulator can leave accumulator_bits, in any order of the additions.
  static bool Bound(const Params& params, const isa::Gemm& gemm, const MicroOpPlan* plan,
                    AccumulatorBounds* bounds);
};

// Throws Error for an accumulator overflow.
void Execute(const isa::Gemm& gemm, const Execution& execution);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_INSTRUCTIONS_GEMM_H_
