#include "tvm_vsq/sim/timing.h"

#include <algorithm>
#include <string>

#include "tvm_vsq/sim/engine.h"

namespace tvm_vsq::sim {
namespace {

class Simulation {
 public:
  Simulation(const Params& params, const Program& program)
      : machine_{params, program, CostModel(params), {}, {}, {}},
        load_(&machine_, Engine::kLoad),
        compute_(&machine_, Engine::kCompute),
        store_(&machine_, Engine::kStore) {
    machine_.timing.layer_end.assign(program.layer_names.size(), 0);
    machine_.timing.events.assign(program.layer_names.size(), EventCounts{});
    fetched_at_ = params.fetch_cycles;
  }

  Timing Run() {
    int64_t now = 0;
    while (true) {
      // Zero-time chains (a completion's token starts an instruction) run until nothing moves any more. The
      // order of the engines decides ties: load before store on the channel.
      while (StepAll(now)) {
      }
      const int64_t next =
          std::min({NextFetch(now), load_.NextEvent(now), compute_.NextEvent(now), store_.NextEvent(now)});
      if (next == kNever) break;
      if (next > machine_.params.max_cycles) {
        Fail("the program runs for more than max_cycles = ", machine_.params.max_cycles, " cycles");
      }
      AccountFetch(now, next);
      for (TimedEngine* engine : engines_) engine->Account(now, next);
      now = next;
    }
    CheckEnd();
    return machine_.timing;
  }

 private:
  bool StepAll(int64_t now) {
    bool changed = false;
    for (TimedEngine* engine : engines_) changed = engine->Step(now) || changed;
    return StepFetch(now) || changed;
  }

  size_t Count() const { return machine_.program.instructions.size(); }

  TimedEngine& Target() {
    return *engines_[static_cast<size_t>(machine_.program.instructions[next_].engine())];
  }

  bool StepFetch(int64_t now) {
    bool changed = false;
    while (next_ < Count() && now >= fetched_at_ && !Target().QueueFull()) {
      Target().Enqueue(next_++);
      fetched_at_ = now + machine_.params.fetch_cycles;
      changed = true;
    }
    return changed;
  }

  int64_t NextFetch(int64_t now) const { return next_ < Count() && fetched_at_ > now ? fetched_at_ : kNever; }

  void AccountFetch(int64_t now, int64_t next) {
    if (next_ >= Count()) return;
    Activity& activity = machine_.timing.engines[0];
    (fetched_at_ > now ? activity.busy : activity.stalled) += next - now;
  }

  void CheckEnd() const {
    std::string waiting;
    const auto add = [&](const std::string& reason) {
      if (!reason.empty()) waiting += (waiting.empty() ? "" : "; ") + reason;
    };
    for (const TimedEngine* engine : engines_) add(engine->Waiting());
    if (next_ < Count()) {
      const auto engine = static_cast<size_t>(machine_.program.instructions[next_].engine());
      add(Concat("fetch waits for room in the queue of ", kEngineNames[engine], " (",
                 machine_.params.command_queue_depth, " are queued) at ", machine_.program.Where(next_)));
    }
    if (!waiting.empty()) Fail("deadlock: ", waiting);
    for (int queue = 0; queue < kTokenQueueCount; ++queue) {
      const int64_t count = machine_.tokens[static_cast<size_t>(queue)];
      if (count == 0) continue;
      Fail("tokens left over at FINISH: ", count, " from ", kTokenRoutes[queue].from, " to ",
           kTokenRoutes[queue].to, " that no instruction pops");
    }
  }

  Machinery machine_;
  TimedEngine load_, compute_, store_;
  std::array<TimedEngine*, kEngineCount> engines_{&load_, &compute_, &store_};
  size_t next_ = 0;         // the instruction that fetch has in hand
  int64_t fetched_at_ = 0;  // when it has arrived
};

}  // namespace

Timing SimulateTiming(const Params& params, const Program& program) {
  return Simulation(params, program).Run();
}

}  // namespace tvm_vsq::sim
