// Timing of a program: a discrete-event run of fetch and the engines. No data, no arithmetic.
#ifndef TVM_VSQ_SIM_TIMING_H_
#define TVM_VSQ_SIM_TIMING_H_

#include <array>
#include <cstdint>
#include <vector>

#include "tvm_vsq/sim/channel.h"
#include "tvm_vsq/sim/cost.h"
#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/params.h"
#include "tvm_vsq/sim/stalls.h"

namespace tvm_vsq::sim {

// What a unit did, and why it did not: busy and all stalls together are the cycles of the program.
struct Activity {
  int64_t busy = 0;
  StallCycles stalls{};

  // With an instruction in hand; without: waiting for one, or finished.
  int64_t Stalled() const;
};

struct LayerTiming {
  int64_t end = 0;  // completion of its last instruction; 0 for a layer without any
  EventCounts events{};
  std::array<Activity, kUnitCount> units;  // by the layer of the instruction in hand, or else of the next one
};

struct Timing {
  int64_t cycles = 0;  // until the last instruction is complete
  std::vector<LayerTiming> layers;
};

// When one instruction went through its stages. Of a LOAD or STORE, `transfer` to `end` is the transfer
// with what it waits for the channel and for banks; of any other one, `start` to `end` is all of it.
struct InstructionTimes {
  int64_t queued = 0;    // fetched and put into the engine's queue
  int64_t taken = 0;     // the engine's current instruction from here on
  int64_t start = 0;     // all tokens were there
  int64_t transfer = 0;  // LOAD, STORE: set up, rows open; else equal to start
  int64_t end = 0;       // the engine is free for the next one
  int64_t complete = 0;  // results visible, tokens pushed
};

// What a timeline needs beyond the sums.
struct TimingRecord {
  std::vector<InstructionTimes> times;     // [instruction]
  std::vector<Channel::Interval> channel;  // when DRAM was busy
};

// Throws Error for a deadlock (naming what each engine waits for), tokens left over at the end, or more than
// params.max_cycles. The result depends on nothing but the arguments. `record`, if given, is filled.
Timing SimulateTiming(const Params& params, const Program& program, TimingRecord* record = nullptr);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_TIMING_H_
