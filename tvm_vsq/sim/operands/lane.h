// Numbers of scratchpads as signed integers, one at a time.
#ifndef TVM_VSQ_SIM_OPERANDS_LANE_H_
#define TVM_VSQ_SIM_OPERANDS_LANE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tvm_vsq/sim/execution.h"

namespace tvm_vsq::sim {

// Element `i`, counted on through the vectors behind `entry` of inp.
inline int64_t InpElement(const Execution& execution, bool is_unsigned, size_t entry, size_t i) {
  const Scratchpads& pads = *execution.pads;
  const size_t at = entry * static_cast<size_t>(execution.params.vector_size) + i;
  if (is_unsigned) return pads.inp_code[at];
  return pads.inp_biased[at] - (int64_t{1} << (execution.params.activation_bits - 1));
}

// Of the weight vector of an output lane.
inline int64_t Weight(const Execution& execution, size_t entry, size_t lane, size_t i) {
  const auto size = static_cast<size_t>(execution.params.vector_size);
  const auto lanes = static_cast<size_t>(execution.params.output_lanes);
  return execution.pads->wgt[(entry * size + i / 4 * 4) * lanes + lane * 4 + i % 4];
}

inline int64_t Accumulator(const Execution& execution, size_t entry, size_t lane) {
  const Scratchpads& pads = *execution.pads;
  const size_t at = entry * static_cast<size_t>(execution.params.output_lanes) + lane;
  return pads.acc64.empty() ? pads.acc32[at] : pads.acc64[at];
}

// A lane of every accumulator entry.
inline std::vector<int64_t> AccumulatorLane(const Execution& execution, size_t lane) {
  std::vector<int64_t> numbers(static_cast<size_t>(execution.params.acc_depth));
  for (size_t entry = 0; entry < numbers.size(); ++entry)
    numbers[entry] = Accumulator(execution, entry, lane);
  return numbers;
}

// Throws Error unless the scratchpad holds what the rows of the instruction led to.
inline void CheckAccumulatorLane(const Execution& execution, size_t lane,
                                 const std::vector<int64_t>& expected) {
  for (size_t entry = 0; entry < expected.size(); ++entry) {
    const int64_t found = Accumulator(execution, entry, lane);
    if (found == expected[entry]) continue;
    execution.Fail("acc entry ", entry, ", lane ", lane, " became ", found, ", but its operands give ",
                   expected[entry]);
  }
}

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_OPERANDS_LANE_H_
