#include "tvm_vsq/sim/instructions/gemm.h"

#include <algorithm>
#include <vector>

#include "tvm_vsq/sim/gemm.h"
#include "tvm_vsq/sim/gemm_bound.h"
#include "tvm_vsq/sim/gemm_plan.h"
#include "tvm_vsq/sim/overflow.h"
#include "tvm_vsq/sim/poll.h"
#include "tvm_vsq/sim/weights.h"

namespace tvm_vsq::sim {

std::unique_ptr<const MicroOpPlan> Declared<isa::Gemm>::MakePlan(const Params& params, const isa::Gemm& gemm,
                                                                 const isa::Uop* uops) {
  return std::make_unique<GemmPlan>(MakeGemmPlan(params, gemm, uops));
}

// Only the iterations of Fresh, of which there are no more than entries before one repeats an entry, are
// looked at one by one, each with what comes before the next of them.
std::optional<Declared<isa::Gemm>::Iteration> Declared<isa::Gemm>::LateOverwrite(const Params& params,
                                                                                 const isa::Gemm& gemm,
                                                                                 const MicroOpPlan& plan) {
  const Nest fresh = Fresh(gemm);
  if (fresh.Visits() == 0) return std::nullopt;
  std::vector<bool> written(static_cast<size_t>(params.acc_depth));
  // What follows the overwrites of an iteration, moved by it: its other micro-ops, and where the inner loop
  // reduces, the rest of that.
  std::vector<bool> follows(written.size());
  const size_t last_in = gemm.in_reduces ? gemm.iter_in : 1;
  CountWork(written.size() + gemm.uop_count * last_in);
  for (size_t u = 0; u < gemm.uop_count; ++u) {
    for (size_t i = u < fresh.uops ? 1 : 0; i < last_in; ++i)
      follows[plan.uops[u].acc + i * gemm.acc_in] = true;
  }
  std::vector<size_t> others;
  for (size_t entry = 0; entry < follows.size(); ++entry) {
    if (follows[entry]) others.push_back(entry);
  }
  for (size_t o = 0; o < fresh.out; ++o) {
    for (size_t i = 0; i < fresh.in; ++i) {
      const size_t moved = o * gemm.acc_out + i * gemm.acc_in;
      CountWork(fresh.uops + others.size());
      for (size_t u = 0; u < fresh.uops; ++u) {
        const size_t acc = plan.uops[u].acc + moved;
        if (written[acc]) return Iteration{o, i, u, acc};
        written[acc] = true;
      }
      for (const size_t entry : others) written[entry + moved] = true;
    }
  }
  return std::nullopt;
}

bool Declared<isa::Gemm>::Bound(const Params& params, const isa::Gemm& gemm, const MicroOpPlan* touched,
                                AccumulatorBounds* bounds) {
  const auto& plan = static_cast<const GemmPlan&>(*touched);
  if (Fills(gemm)) {
    for (const MicroOpPlan::Range& range : plan.touched[0]) bounds->Set(range.begin, range.entries, 0);
  }
  if (gemm.reset) return true;
  const int64_t weight = LargestWeight(params, gemm.wgt_unsigned, bounds->max_weight());
  const int64_t factor = gemm.unscaled ? 1 : LargestProduct(params);
  const auto addend = static_cast<uint64_t>(factor * LargestDot(params, gemm.act_unsigned, weight))
                      << gemm.shift;
  // More would not fit anyway, and might not fit 64 bits.
  const uint64_t most = (uint64_t{1} << params.accumulator_bits) / (addend + 1) + 1;
  bool safe = !plan.tiles.empty();
  for (const GemmPlan::Tile& tile : plan.tiles) {
    CountWork(tile.pixels);
    const uint64_t sum = std::min<uint64_t>(tile.steps, most) * addend;
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
  // Nothing is accumulated in an entry before it is overwritten.
  if (Declared<isa::Gemm>::Fills(gemm)) unit.Clear(plan.touched[0], execution.pads);
  if (gemm.reset) return;
  const bool has_kernel = !plan.tiles.empty() && execution.pads->acc64.empty();
  if (has_kernel && (execution.safe || OperandsFit(execution.params, gemm, plan, *execution.pads))) {
    unit.ExecuteSafe(gemm, plan, execution.threads, execution.pads);
  } else {
    unit.ExecuteChecked(execution.program, execution.index, plan, execution.pads);
  }
}

}  // namespace tvm_vsq::sim
