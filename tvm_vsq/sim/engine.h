// One engine: executes its instructions in order.
#ifndef TVM_VSQ_SIM_ENGINE_H_
#define TVM_VSQ_SIM_ENGINE_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "tvm_vsq/sim/channel.h"
#include "tvm_vsq/sim/cost.h"
#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/timing.h"
#include "tvm_vsq/sim/tokens.h"

namespace tvm_vsq::sim {

// What the units share.
struct Machinery {
  const Params& params;
  const Program& program;
  CostModel cost;
  Channel channel;
  Timing timing;
  std::vector<InstructionTimes>* times;  // may be null
  std::array<int64_t, kTokenQueueCount> tokens{};
  TokenQueues empty = Bit(kTokenQueueCount) - 1, full = 0;  // the queues that are
  bool signal = false;  // a unit did something that may let another one go on

  const Instruction& At(size_t index) const { return program.instructions[index]; }
  // Adds one token to each of the queues, or takes one away.
  void Count(TokenQueues queues, int change);
  Activity& ActivityOf(uint32_t layer, int unit) {
    return timing.layers[layer].units[static_cast<size_t>(unit)];
  }
};

class TimedEngine {
 public:
  TimedEngine(Machinery* machine, Engine id);

  bool QueueFull() const {
    return static_cast<int64_t>(queued_ - taken_) >= machine_.params.command_queue_depth;
  }
  // Adds the engine's next instruction to its queue; which one that is, follows from the program.
  void Enqueue() {
    ++queued_;
    machine_.signal = true;
  }

  // Does all that this engine can do at `now`.
  void Step(int64_t now) {
    if (Quiet(now)) return;
    while (Advance(now)) {
    }
  }
  // The next cycle after `now` at which time alone lets this engine proceed, or kNever; the channel has its
  // own.
  int64_t NextEvent(int64_t now) const {
    if (completions_.empty() || completions_.front().time <= now) return until_;
    return std::min(until_, completions_.front().time);
  }

  enum class Phase { kIdle, kWaitTokens, kSetup, kRow, kTransfer, kBanks, kCompute };
  Phase phase() const { return phase_; }
  // The token queue that has no token for the instruction in hand, or -1.
  int MissingToken() const { return phase_ == Phase::kWaitTokens ? First(pops_ & machine_.empty) : -1; }
  // The token queue that has no room for what a finished instruction pushes, or -1.
  int FullQueue(int64_t now) const {
    if (completions_.empty() || completions_.front().time > now) return -1;
    return First(completions_.front().pushes & machine_.full);
  }
  // Whether an executed instruction will push a token into `queue` once its data have arrived.
  bool InFlight(int queue, int64_t now) const { return last_push_[static_cast<size_t>(queue)] > now; }
  bool HasInstruction() const { return phase_ != Phase::kIdle || queued_ > taken_; }
  bool Finished() const { return phase_ == Phase::kIdle && taken_ == instructions_.size(); }
  // In the layer of the instruction in hand, else of the next, else of the last.
  Activity& activity() { return machine_.ActivityOf(layer_, 1 + static_cast<int>(id_)); }

  // For the deadlock report: what the engine waits for, or "" if it is done.
  std::string Waiting() const;

 private:
  struct Completion {
    int64_t time;
    size_t index;
    TokenQueues pushes;
  };

  const Instruction& Current() const { return machine_.At(current_); }
  Port port() const { return isa::kPortOf[static_cast<size_t>(id_)]; }
  // Whether nothing can happen at `now`, cheaply told; false is always right.
  bool Quiet(int64_t now) const {
    if (until_ <= now || phase_ == Phase::kTransfer) return false;
    if (!completions_.empty() && completions_.front().time <= now) return false;
    if (phase_ == Phase::kWaitTokens) return (pops_ & machine_.empty) != 0;
    return phase_ != Phase::kIdle || queued_ == taken_;
  }
  bool Advance(int64_t now);
  bool Complete(int64_t now);
  bool Take(int64_t now);
  bool TakeTokens();
  void Start(int64_t now);
  void Proceed(int64_t now);
  void StartTransfer(int64_t now);
  void EndTransfer(int64_t now);
  void WaitForBanks(int64_t now, int64_t until);
  void Finish(int64_t now);
  void FindLayer();

  Machinery& machine_;
  const Engine id_;
  std::vector<uint32_t> instructions_;  // those of this engine
  size_t queued_ = 0, taken_ = 0;       // how many of them were put into the queue and taken out
  std::deque<Completion> completions_;  // executed, result not yet visible
  // When the data of the last executed instruction that pushes into this queue have arrived.
  std::array<int64_t, kTokenQueueCount> last_push_{};
  Phase phase_ = Phase::kIdle;
  size_t current_ = 0;
  uint32_t layer_ = 0;
  TokenQueues pops_ = 0;    // of the current instruction
  Cost cost_;               // of the current instruction
  int64_t transfer_ = 0;    // start of the current transfer
  int64_t until_ = kNever;  // end of the current phase, where time alone ends it
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_ENGINE_H_
