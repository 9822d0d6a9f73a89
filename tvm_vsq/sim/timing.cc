#include "tvm_vsq/sim/timing.h"

#include <algorithm>
#include <string>
#include <utility>

#include "tvm_vsq/sim/fetch.h"
#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::sim {
namespace {

class Simulation {
 public:
  Simulation(const Params& params, const Program& program, TimingRecord* record)
      : machine_{params,
                 program,
                 CostModel(params),
                 MakeChannel(params),
                 {},
                 record == nullptr ? nullptr : &record->times} {
    for (int engine = 0; engine < kEngineCount; ++engine)
      engines_.emplace_back(&machine_, static_cast<Engine>(engine));
    machine_.timing.layers.resize(program.layer_names.size());
    if (record == nullptr) return;
    record->times.assign(program.instructions.size(), InstructionTimes());
    machine_.channel.RecordTo(&record->channel);
  }

  Timing Run() {
    int64_t now = 0;
    while (true) {
      // Zero-time chains (a completion's token starts an instruction) run until nothing moves any more.
      do {
        machine_.signal = false;
        for (TimedEngine& engine : engines_) engine.Step(now);
        fetch_.Step(now);
      } while (machine_.signal);
      int64_t next = std::min(fetch_.NextEvent(now), machine_.channel.NextEvent(now));
      for (const TimedEngine& engine : engines_) next = std::min(next, engine.NextEvent(now));
      if (next == kNever) break;
      if (next > machine_.params.max_cycles) {
        Fail("the program runs for more than max_cycles = ", machine_.params.max_cycles, " cycles");
      }
      AccountFetch(now, next - now);
      for (TimedEngine& engine : engines_) Account(engine, now, next - now);
      now = next;
      CountWork(32);
    }
    CheckEnd();
    return std::move(machine_.timing);
  }

 private:
  TimedEngine& At(Engine engine) { return engines_[static_cast<size_t>(engine)]; }

  static void Add(Activity& activity, Stall stall, Cause cause, int64_t cycles) {
    activity.stalls[static_cast<size_t>(stall)][static_cast<size_t>(cause)] += cycles;
  }

  // Nothing changes from `now` on for so many cycles. What work takes, and what a transfer waits for the
  // channel, the engines account themselves.
  void Account(TimedEngine& engine, int64_t now, int64_t cycles) {
    using Phase = TimedEngine::Phase;
    if (engine.phase() == Phase::kRow) {
      Add(engine.activity(), Stall::kDramRow, Cause::kDramRow, cycles);
    } else if (engine.phase() == Phase::kBanks) {
      Add(engine.activity(), Stall::kBanks, Cause::kBanks, cycles);
    } else if (engine.phase() == Phase::kWaitTokens) {
      const int queue = engine.MissingToken();
      Add(engine.activity(), TokenFrom(isa::kRoutes[queue].source), CauseOfToken(queue, now), cycles);
    } else if (engine.phase() != Phase::kIdle) {
      return;
    } else if (const int full = engine.FullQueue(now); full >= 0) {
      const Engine to = isa::kRoutes[full].sink;
      Add(engine.activity(), RoomForTokenTo(to), CauseOf(to, now), cycles);
    } else if (engine.Finished()) {
      Add(engine.activity(), Stall::kFinished, Cause::kFinished, cycles);
    } else {
      Add(engine.activity(), Stall::kInstruction, CauseOfFetch(now), cycles);
    }
  }

  void AccountFetch(int64_t now, int64_t cycles) {
    Activity& activity = fetch_.activity();
    if (fetch_.Finished()) {
      Add(activity, Stall::kFinished, Cause::kFinished, cycles);
    } else if (fetch_.WaitsForBytes()) {
      Add(activity, Stall::kDramData, CauseOfFetch(now), cycles);
    } else if (!fetch_.Decoding(now)) {
      Add(activity, RoomInQueueOf(fetch_.TargetId()), CauseOfFetch(now), cycles);
    }
  }

  // What goes on at the end of the chain of units of which each waits for the next one. A chain that bites
  // its own tail is a deadlock, in which no cycles pass; `links` only bounds the search.
  Cause CauseOf(Engine id, int64_t now, int links = 8) {
    const TimedEngine& engine = At(id);
    switch (engine.phase()) {
      case TimedEngine::Phase::kSetup:
        return Cause::kDmaSetup;
      case TimedEngine::Phase::kRow:
        return Cause::kDramRow;
      case TimedEngine::Phase::kTransfer:
        return Cause::kDramBandwidth;
      case TimedEngine::Phase::kBanks:
        return Cause::kBanks;
      case TimedEngine::Phase::kCompute:
        return Cause::kCompute;
      case TimedEngine::Phase::kWaitTokens:
        return CauseOfToken(engine.MissingToken(), now, links);
      case TimedEngine::Phase::kIdle:
        break;
    }
    const int full = engine.FullQueue(now);
    if (full >= 0 && links > 0) return CauseOf(isa::kRoutes[full].sink, now, links - 1);
    return CauseOfFetch(now, links);
  }

  Cause CauseOfToken(int queue, int64_t now, int links = 8) {
    const Engine from = isa::kRoutes[queue].source;
    if (At(from).InFlight(queue, now)) return Cause::kDramLatency;
    return links > 0 ? CauseOf(from, now, links - 1) : Cause::kFetch;
  }

  Cause CauseOfFetch(int64_t now, int links = 8) {
    if (fetch_.WaitsForBytes()) return fetch_.WaitsForChannel() ? Cause::kDramBandwidth : Cause::kDramLatency;
    if (fetch_.Finished() || fetch_.Decoding(now) || links == 0) return Cause::kFetch;
    return CauseOf(fetch_.TargetId(), now, links - 1);
  }

  void CheckEnd() {
    std::string waiting;
    const auto add = [&](const std::string& reason) {
      if (!reason.empty()) waiting += (waiting.empty() ? "" : "; ") + reason;
    };
    for (const TimedEngine& engine : engines_) add(engine.Waiting());
    add(fetch_.Waiting());
    if (!waiting.empty()) Fail("deadlock: ", waiting);
    for (int queue = 0; queue < kTokenQueueCount; ++queue) {
      const int64_t count = machine_.tokens[static_cast<size_t>(queue)];
      if (count == 0) continue;
      Fail("tokens left over at FINISH: ", count, " from ", ProducerOf(queue), " to ", ConsumerOf(queue),
           " that no instruction pops");
    }
  }

  Machinery machine_;
  std::vector<TimedEngine> engines_;
  FetchUnit fetch_{&machine_, &engines_};
};

}  // namespace

int64_t Activity::Stalled() const {
  int64_t cycles = 0;
  for (int stall = 0; stall < kStallCount; ++stall) {
    if (stall == static_cast<int>(Stall::kInstruction) || stall == static_cast<int>(Stall::kFinished))
      continue;
    for (const int64_t count : stalls[static_cast<size_t>(stall)]) cycles += count;
  }
  return cycles;
}

Timing SimulateTiming(const Params& params, const Program& program, TimingRecord* record) {
  return Simulation(params, program, record).Run();
}

}  // namespace tvm_vsq::sim
