#include "tvm_vsq/sim/plan.h"

#include <algorithm>

#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::sim {
namespace {

// Adds to a set of entries what `count` - 1 moves by `step` make of it.
void Spread(uint64_t step, uint64_t count, std::vector<bool>* entries) {
  for (uint64_t done = 1; step > 0 && done < count; done *= 2) {
    CountWork(entries->size());
    const uint64_t move = std::min(done, count - done) * step;
    for (size_t entry = entries->size(); entry-- > move;) {
      if ((*entries)[entry - move]) (*entries)[entry] = true;
    }
  }
}

MicroOpPlan::Ranges TouchedEntries(const MicroOpLoops& loops, const std::vector<Uop>& uops,
                                   const IndexedAccess& access, int64_t depth) {
  CountWork(static_cast<uint64_t>(depth));
  std::vector<bool> touched(static_cast<size_t>(depth));
  for (const Uop& uop : uops) touched[uop.*access.index] = true;
  Spread(access.in, loops.iter_in, &touched);
  Spread(access.out, loops.iter_out, &touched);
  MicroOpPlan::Ranges ranges;
  for (uint32_t entry = 0; entry < depth; ++entry) {
    if (!touched[entry]) continue;
    if (ranges.empty() || ranges.back().begin + ranges.back().entries < entry) ranges.push_back({entry, 0});
    ++ranges.back().entries;
  }
  return ranges;
}

}  // namespace

uint64_t MicroOpPlan::Bytes() const {
  uint64_t bytes = uops.capacity() * sizeof(Uop);
  for (const Ranges& ranges : touched) bytes += ranges.capacity() * sizeof(Range);
  return bytes;
}

void FillPlan(const Params& params, const MicroOpLoops& loops, const Uop* uops, MicroOpPlan* plan) {
  plan->uops.assign(uops, uops + loops.uop_count);
  size_t number = 0;
  for (const IndexedAccess& access : loops) {
    plan->touched[number++] = TouchedEntries(loops, plan->uops, access, params.Depth(access.pad));
  }
}

}  // namespace tvm_vsq::sim
