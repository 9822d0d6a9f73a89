// One of load, compute and store: executes its instructions in order.
#ifndef TVM_VSQ_SIM_ENGINE_H_
#define TVM_VSQ_SIM_ENGINE_H_

#include <array>
#include <cstdint>
#include <deque>
#include <limits>
#include <string>

#include "tvm_vsq/sim/channel.h"
#include "tvm_vsq/sim/cost.h"
#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/timing.h"
#include "tvm_vsq/sim/tokens.h"

namespace tvm_vsq::sim {

inline constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

// What the engines share.
struct Machinery {
  const Params& params;
  const Program& program;
  CostModel cost;
  Channel channel;
  std::array<int64_t, kTokenQueueCount> tokens{};
  Timing timing;
};

class TimedEngine {
 public:
  TimedEngine(Machinery* machine, Engine id) : machine_(*machine), id_(id) {}

  bool QueueFull() const {
    return static_cast<int64_t>(queue_.size()) >= machine_.params.command_queue_depth;
  }
  void Enqueue(size_t index) { queue_.push_back(index); }

  // Does what can be done at `now`; returns whether anything changed.
  bool Step(int64_t now);
  // The next cycle after `now` at which time alone lets this engine proceed, or kNever.
  int64_t NextEvent(int64_t now) const;
  // Accounts the interval from `now` until `next`, in which nothing changes.
  void Account(int64_t now, int64_t next);

  bool Done() const { return phase_ == Phase::kIdle && queue_.empty() && completions_.empty(); }
  // For the deadlock report: what the engine waits for, or "" if it is done.
  std::string Waiting() const;

 private:
  enum class Phase { kIdle, kWaitTokens, kSetup, kRun };
  struct Completion {
    int64_t time;
    size_t index;
  };

  const Instruction& Current() const { return machine_.program.instructions[current_]; }
  bool CompletionBlocked(int64_t now) const;
  bool Complete(int64_t now);
  bool TakeTokens();
  void Start(int64_t now);
  void StartTransfer(int64_t now);

  Machinery& machine_;
  const Engine id_;
  std::deque<size_t> queue_;
  std::deque<Completion> completions_;  // executed, result not yet visible
  Phase phase_ = Phase::kIdle;
  size_t current_ = 0;
  int64_t granted_ = 0;  // the channel is ours from here on
  int64_t until_ = 0;    // end of the current phase
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_ENGINE_H_
