// Functions as tables of segments, which lie in the lanes of par: what VEC and REDUCE look up.
#ifndef TVM_VSQ_SIM_SEGMENTS_H_
#define TVM_VSQ_SIM_SEGMENTS_H_

#include <cstdint>

#include "tvm_vsq/sim/execution.h"

namespace tvm_vsq::sim {

// Arguments have kSegmentBits bits inside of a segment; values and slopes have kSegmentValueBits.
inline constexpr int64_t kSegments = 128, kSegmentBits = 9, kSegmentValueBits = 24;

struct Segments {
  int32_t values[kSegments], slopes[kSegments];
};

// Entries of par that hold a table.
inline uint64_t SegmentEntries(const Params& params) {
  return static_cast<uint64_t>((kSegments + params.output_lanes - 1) / params.output_lanes);
}

// The table from entry `base` of par on. Throws Error for a number that does not fit kSegmentValueBits.
Segments ReadSegments(const Execution& execution, size_t base);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_SEGMENTS_H_
