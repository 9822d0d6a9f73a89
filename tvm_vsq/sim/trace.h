// A program's run on the time axis: what a timeline shows.
#ifndef TVM_VSQ_SIM_TRACE_H_
#define TVM_VSQ_SIM_TRACE_H_

#include <cstdint>
#include <vector>

#include "tvm_vsq/sim/critical_path.h"
#include "tvm_vsq/sim/occupancy.h"
#include "tvm_vsq/sim/timing.h"

namespace tvm_vsq::sim {

struct Trace {
  int64_t cycles = 0;
  std::vector<InstructionTimes> times;  // [instruction]
  std::vector<PathStep> path;
  int64_t bin_cycles = 1;
  std::vector<EventCounts> bins;    // events of cycles [i * bin_cycles, (i + 1) * bin_cycles)
  std::vector<int64_t> dram_bytes;  // [bin]: what the channel moved, instructions included
  std::vector<PadCounts> alive;     // [bin]: see AliveCycles; empty without `prepared`
};

// At most `max_bins` bins. An instruction's events are spread evenly over the cycles in which it transfers or
// computes, so that all bins together are the events of the program.
Trace TraceProgram(const Params& params, const Program& program, int64_t max_bins,
                   const PreparedProgram* prepared = nullptr);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_TRACE_H_
