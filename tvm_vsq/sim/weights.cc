#include "tvm_vsq/sim/weights.h"

#include <algorithm>
#include <numeric>

#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::sim {

WeightElements ElementsOfWeights(const Params& params, const MicroOpLoops& loops, const MicroOpPlan& plan,
                                 bool is_unsigned, Scratchpads* pads) {
  if (!is_unsigned) return {pads->wgt.data(), pads->wgt_sum.data()};
  pads->unsigned_wgt.resize(pads->wgt.size());
  pads->unsigned_wgt_sum.resize(pads->wgt_sum.size());
  const auto lanes = static_cast<size_t>(params.output_lanes);
  const size_t entry_size = static_cast<size_t>(params.vector_size) * lanes;
  // Below kMaxElementBits (CheckUnsignedWeights), so that they fit signed bytes.
  const int mask = (1 << params.weight_bits) - 1;
  for (size_t number = 0; number < loops.access_count; ++number) {
    if (loops.accesses[number].pad != Pad::kWgt) continue;
    for (const MicroOpPlan::Range& range : plan.touched[number]) {
      CountWork(range.entries * entry_size / 16);
      for (size_t entry = range.begin; entry < range.begin + range.entries; ++entry) {
        const int8_t* from = &pads->wgt[entry * entry_size];
        int8_t* to = &pads->unsigned_wgt[entry * entry_size];
        int32_t* sums = &pads->unsigned_wgt_sum[entry * lanes];
        std::fill_n(sums, lanes, 0);
        for (size_t i = 0; i < entry_size; ++i) to[i] = static_cast<int8_t>(from[i] & mask);
        // Four elements of each lane in turn.
        for (size_t i = 0, lane = 0; i < entry_size; i += 4, lane = lane + 1 == lanes ? 0 : lane + 1) {
          sums[lane] = std::accumulate(to + i, to + std::min(i + 4, entry_size), sums[lane]);
        }
      }
    }
  }
  return {pads->unsigned_wgt.data(), pads->unsigned_wgt_sum.data()};
}

}  // namespace tvm_vsq::sim
