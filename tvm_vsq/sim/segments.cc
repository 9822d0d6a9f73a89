#include "tvm_vsq/sim/segments.h"

namespace tvm_vsq::sim {

Segments ReadSegments(const Execution& execution, size_t base) {
  const auto lanes = static_cast<size_t>(execution.params.output_lanes);
  constexpr int64_t kLimit = int64_t{1} << (kSegmentValueBits - 1);
  Segments table;
  for (size_t i = 0; i < static_cast<size_t>(kSegments); ++i) {
    const ChannelParams& lane = execution.pads->par[base * lanes + i];
    for (const int32_t number : {lane.bias, lane.clip}) {
      if (number >= -kLimit && number < kLimit) continue;
      execution.Fail("par entry ", base + i / lanes, ", lane ", i % lanes, ": ", number, " does not fit the ",
                     kSegmentValueBits, " bits of a table");
    }
    table.values[i] = lane.bias;
    table.slopes[i] = lane.clip;
  }
  return table;
}

}  // namespace tvm_vsq::sim
