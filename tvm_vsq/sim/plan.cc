#include "tvm_vsq/sim/plan.h"

#include <algorithm>

#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::sim {
namespace {

// [entry], 0 or 1: bytes, for the host's vector instructions.
using Set = std::vector<uint8_t>;

// Adds to a set of entries what `count` - 1 moves by `step` make of it.
void Spread(uint64_t step, uint64_t count, Set* entries) {
  for (uint64_t done = 1; step > 0 && done < count; done *= 2) {
    CountWork(entries->size());
    const uint64_t move = std::min(done, count - done) * step;
    const Set before = *entries;
    for (size_t entry = move; entry < before.size(); ++entry) (*entries)[entry] |= before[entry - move];
  }
}

Set TouchedEntries(const std::vector<Uop>& uops, const IndexedAccess& access, int64_t depth) {
  CountWork(static_cast<uint64_t>(depth));
  Set touched(static_cast<size_t>(depth));
  for (size_t u = 0; u < access.nest.uops; ++u)
    std::fill_n(touched.begin() + uops[u].*access.index, access.width, 1);
  Spread(access.taps.column_step, access.taps.columns, &touched);
  Spread(access.taps.row_step, access.taps.rows, &touched);
  Spread(access.in, access.nest.in, &touched);
  Spread(access.out, access.nest.out, &touched);
  return touched;
}

MicroOpPlan::Ranges RangesOf(const Set& touched) {
  MicroOpPlan::Ranges ranges;
  for (uint32_t entry = 0; entry < touched.size(); ++entry) {
    if (touched[entry] == 0) continue;
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
  plan->uops.assign(uops, uops + loops.nest.uops);
  size_t number = 0;
  for (const IndexedAccess& access : loops) {
    Set touched = TouchedEntries(plan->uops, access, params.Depth(access.pad));
    for (size_t fill = 0; fill < number && access.use == Use::kAccumulate; ++fill) {
      if (loops.accesses[fill].use != Use::kFill || loops.accesses[fill].pad != access.pad) continue;
      for (const MicroOpPlan::Range& range : plan->touched[fill])
        std::fill_n(touched.begin() + range.begin, range.entries, 0);
    }
    plan->touched[number++] = RangesOf(touched);
  }
}

}  // namespace tvm_vsq::sim
