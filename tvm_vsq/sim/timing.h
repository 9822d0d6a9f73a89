// Timing of a program: a discrete-event run of fetch, load, compute and store. No data, no arithmetic.
#ifndef TVM_VSQ_SIM_TIMING_H_
#define TVM_VSQ_SIM_TIMING_H_

#include <array>
#include <cstdint>
#include <vector>

#include "tvm_vsq/sim/cost.h"
#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/params.h"

namespace tvm_vsq::sim {

struct Activity {
  int64_t busy = 0;     // cycles of work
  int64_t stalled = 0;  // cycles with an instruction in hand that must wait
};

struct Timing {
  int64_t cycles = 0;               // until the last engine is done
  std::vector<int64_t> layer_end;   // [layer]: completion of its last instruction; 0 for a layer without any
  std::vector<EventCounts> events;  // [layer]
  std::array<Activity, 4> engines;  // fetch, load, compute, store
};

// Throws Error for a deadlock (naming what each engine waits for), tokens left over at the end, or more than
// params.max_cycles. The result depends on nothing but the arguments.
Timing SimulateTiming(const Params& params, const Program& program);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_TIMING_H_
