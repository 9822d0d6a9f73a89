#include "tvm_vsq/sim/instructions/gemm.h"

#include <algorithm>

#include "tvm_vsq/sim/gemm.h"
#include "tvm_vsq/sim/gemm_plan.h"
#include "tvm_vsq/sim/overflow.h"
#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::sim {

std::unique_ptr<const MicroOpPlan> Declared<isa::Gemm>::MakePlan(const Params& params, const isa::Gemm& gemm,
                                                                 const isa::Uop* uops) {
  return std::make_unique<GemmPlan>(MakeGemmPlan(params, gemm, uops));
}

bool Declared<isa::Gemm>::Bound(const Params& params, const isa::Gemm& gemm, const MicroOpPlan* touched,
                                AccumulatorBounds* bounds) {
  const auto& plan = static_cast<const GemmPlan&>(*touched);
  if (gemm.reset) {
    for (const MicroOpPlan::Range& range : plan.touched[0]) bounds->Set(range.begin, range.entries, 0);
    return true;
  }
  const auto addend = static_cast<uint64_t>(LargestProduct(params) *
                                            LargestDot(params, gemm.act_unsigned, bounds->max_weight()));
  bool safe = !plan.tiles.empty();
  for (const GemmPlan::Tile& tile : plan.tiles) {
    CountWork(tile.pixels);
    const uint64_t sum = tile.steps * addend;
    for (size_t p = tile.first_pixel; p < tile.first_pixel + tile.pixels; ++p) {
      safe = bounds->Add(tile.acc + plan.pixels[p].acc, sum) && safe;
    }
  }
  // Checked at run time; what it leaves, and all else in the scratchpad, is an accumulator or an int32.
  if (!safe) bounds->Forget();
  return safe;
}

void Execute(const isa::Gemm& gemm, const Execution& execution) {
  const GemmUnit unit(execution.params);
  const auto& plan = static_cast<const GemmPlan&>(*execution.plan);
  if (gemm.reset) {
    unit.Reset(gemm, plan, execution.pads);
  } else if (execution.safe && execution.pads->acc64.empty()) {
    unit.ExecuteSafe(gemm, plan, execution.threads, execution.pads);
  } else {
    unit.ExecuteChecked(execution.program, execution.index, plan, execution.pads);
  }
}

}  // namespace tvm_vsq::sim
