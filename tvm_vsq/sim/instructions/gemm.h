// GEMM: products of vectors, scaled and accumulated, of which the first ones may overwrite; or zeros.
#ifndef TVM_VSQ_SIM_INSTRUCTIONS_GEMM_H_
#define TVM_VSQ_SIM_INSTRUCTIONS_GEMM_H_

#include <memory>
#include <optional>

#include "tvm_vsq/sim/declaration.h"
#include "tvm_vsq/sim/digits.h"
#include "tvm_vsq/sim/execution.h"
#include "tvm_vsq/sim/plan.h"

namespace tvm_vsq::sim {

template <>
struct Declared<isa::Gemm> : Defaults<isa::Gemm> {
  static constexpr bool kMicroOps = true;
  static constexpr bool kBounds = true;

  // The iterations that overwrite.
  static Nest Fresh(const isa::Gemm& gemm) {
    return {gemm.fresh_uops, gemm.out_reduces ? 1 : gemm.iter_out, gemm.in_reduces ? 1 : gemm.iter_in};
  }

  static MicroOpLoops Loops(const Params&, const isa::Gemm& gemm) {
    MicroOpLoops loops{gemm.uop_begin, {gemm.uop_count, gemm.iter_out, gemm.iter_in}};
    const auto accumulators = [&](Use use, const Nest& nest, uint64_t visits) {
      if (visits > 0) loops.Add({Pad::kAcc, use, &isa::Uop::acc, gemm.acc_out, gemm.acc_in, nest, visits});
    };
    const uint64_t all = loops.nest.Visits();
    if (gemm.reset) {
      accumulators(Use::kFill, loops.nest, all);
      return loops;
    }
    const Nest fresh = Fresh(gemm);
    accumulators(Use::kFill, fresh, fresh.Visits());
    accumulators(Use::kAccumulate, loops.nest, all - fresh.Visits());
    loops.Add(Pad::kInp, Use::kRead, &isa::Uop::inp, gemm.inp_out, gemm.inp_in);
    loops.Add(Pad::kWgt, Use::kRead, &isa::Uop::wgt, gemm.wgt_out, gemm.wgt_in);
    return loops;
  }

  // Whether the first of the accesses is a fill.
  static bool Fills(const isa::Gemm& gemm) { return gemm.reset || gemm.fresh_uops > 0; }

  template <typename Fail>
  static void Check(const Params& params, const isa::Gemm& gemm, Fail fail) {
    CheckUnsignedWeights(params, gemm.wgt_unsigned, fail);
    if (gemm.reset && gemm.fresh_uops > 0)
      fail("field fresh_uops is ", gemm.fresh_uops, ", must be 0 with reset, which multiplies nothing");
    if (gemm.fresh_uops > gemm.uop_count)
      fail("field fresh_uops is ", gemm.fresh_uops, ", must be at most uop_count, ", gemm.uop_count);
  }

  // An overwrite behind another product of the same instruction would discard it.
  template <typename Fail>
  static void CheckPlan(const Params& params, const isa::Gemm& gemm, const MicroOpPlan& plan, Fail fail) {
    const std::optional<Iteration> late = LateOverwrite(params, gemm, plan);
    if (!late) return;
    fail("micro-op ", gemm.uop_begin + late->uop, " at outer iteration ", late->out, ", inner ", late->in,
         " overwrites acc entry ", late->acc, ", which an earlier one of the instruction has written");
  }

  static std::unique_ptr<const MicroOpPlan> MakePlan(const Params& params, const isa::Gemm& gemm,
                                                     const isa::Uop* uops);

  static int64_t Cycles(const Params& params, const isa::Gemm& gemm) {
    return params.gemm_pipeline_cycles + static_cast<int64_t>(Visits(gemm));
  }

  template <typename Count>
  static void Events(const Params& params, const isa::Gemm& gemm, Count count) {
    if (gemm.reset) return;
    const int64_t lanes = static_cast<int64_t>(Visits(gemm)) * params.output_lanes;
    const bool weight_scales = !gemm.unscaled && params.weight_scale_bits > 0;
    const bool act_scales = !gemm.unscaled && params.activation_scale_bits > 0;
    count(isa::Event::kMacs, lanes * params.vector_size);
    // With scales on one side only, that scale is the factor: nothing multiplies two scales.
    if (weight_scales && act_scales) count(isa::Event::kScaleProducts, lanes);
    if (weight_scales || act_scales) count(isa::Event::kScaleMacs, lanes);
    if (gemm.shift > 0) count(isa::Event::kShiftLaneOps, lanes);
  }

  static uint64_t Visits(const isa::Gemm& gemm) {
    return Nest{gemm.uop_count, gemm.iter_out, gemm.iter_in}.Visits();
  }

  // Whether no accumulator can leave accumulator_bits, in any order of the additions.
  static bool Bound(const Params& params, const isa::Gemm& gemm, const MicroOpPlan* plan,
                    AccumulatorBounds* bounds);

 private:
  struct Iteration {
    size_t out, in, uop, acc;
  };

  // The first one that overwrites an entry which an earlier one has written.
  static std::optional<Iteration> LateOverwrite(const Params& params, const isa::Gemm& gemm,
                                                const MicroOpPlan& plan);
};

// Throws Error for an accumulator overflow.
void Execute(const isa::Gemm& gemm, const Execution& execution);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_INSTRUCTIONS_GEMM_H_
