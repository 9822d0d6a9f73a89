#include "tvm_vsq/sim/engine.h"

#include <algorithm>

namespace tvm_vsq::sim {

void Machinery::Count(TokenQueues queues, int change) {
  signal = signal || queues != 0;
  ForEachQueue(queues, [&](int queue) {
    int64_t& count = tokens[static_cast<size_t>(queue)];
    count += change;
    empty = count == 0 ? empty | Bit(queue) : empty & ~Bit(queue);
    full = count >= params.token_queue_depth ? full | Bit(queue) : full & ~Bit(queue);
  });
}

TimedEngine::TimedEngine(Machinery* machine, Engine id) : machine_(*machine), id_(id) {
  const std::vector<Instruction>& all = machine_.program.instructions;
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].engine() == id) instructions_.push_back(static_cast<uint32_t>(i));
  }
  FindLayer();
}

bool TimedEngine::Advance(int64_t now) {
  bool changed = Complete(now);
  if (phase_ == Phase::kTransfer && machine_.channel.Done(port(), now)) {
    EndTransfer(now);
    changed = true;
  }
  while (now >= until_) {
    Proceed(now);
    changed = true;
  }
  changed = Take(now) || changed;
  if (phase_ == Phase::kWaitTokens && TakeTokens()) {
    Start(now);
    changed = true;
  }
  return changed;
}

// Results become visible in order; a full token queue holds back this one and all behind it.
bool TimedEngine::Complete(int64_t now) {
  bool changed = false;
  while (!completions_.empty() && completions_.front().time <= now && FullQueue(now) < 0) {
    const auto [time, index, pushes] = completions_.front();
    machine_.Count(pushes, 1);
    machine_.timing.layers[machine_.At(index).layer].end = now;
    machine_.timing.cycles = now;
    if (machine_.times != nullptr) (*machine_.times)[index].complete = now;
    completions_.pop_front();
    changed = true;
  }
  return changed;
}

bool TimedEngine::Take(int64_t now) {
  if (phase_ != Phase::kIdle || queued_ == taken_ || FullQueue(now) >= 0) return false;
  current_ = instructions_[taken_++];
  pops_ = PopsOf(Current());
  if (machine_.times != nullptr) (*machine_.times)[current_].taken = now;
  phase_ = Phase::kWaitTokens;
  return true;
}

bool TimedEngine::TakeTokens() {
  if (MissingToken() >= 0) return false;
  machine_.Count(pops_, -1);
  return true;
}

void TimedEngine::Start(int64_t now) {
  cost_ = machine_.cost.CostOf(Current());
  phase_ = cost_.transfers ? Phase::kSetup : Phase::kCompute;
  until_ = now + cost_.cycles;
  LayerTiming& layer = machine_.timing.layers[Current().layer];
  layer.units[1 + static_cast<size_t>(id_)].busy += cost_.cycles;
  machine_.cost.AddEvents(Current(), cost_.bursts, &layer.events);
  if (machine_.times != nullptr)
    (*machine_.times)[current_].start = (*machine_.times)[current_].transfer = now;
}

// The current phase is over.
void TimedEngine::Proceed(int64_t now) {
  until_ = kNever;
  if (phase_ == Phase::kSetup && cost_.row_cycles > 0) {
    phase_ = Phase::kRow;
    until_ = now + cost_.row_cycles;
  } else if (phase_ == Phase::kSetup || phase_ == Phase::kRow) {
    StartTransfer(now);
  } else if (phase_ == Phase::kCompute) {
    WaitForBanks(now, now + cost_.conflict_cycles);
  } else {
    Finish(now);
  }
}

void TimedEngine::StartTransfer(int64_t now) {
  phase_ = Phase::kTransfer;
  transfer_ = now;
  if (machine_.times != nullptr) (*machine_.times)[current_].transfer = now;
  if (cost_.bursts == 0) return EndTransfer(now);  // border entries only
  machine_.channel.Request(port(), now, cost_.bursts);
}

void TimedEngine::EndTransfer(int64_t now) {
  const int64_t own = cost_.bursts * machine_.channel.burst_cycles();
  activity().busy += own;
  activity().stalls[static_cast<size_t>(Stall::kDramData)][static_cast<size_t>(Cause::kDramBandwidth)] +=
      now - transfer_ - own;
  WaitForBanks(now, transfer_ + cost_.bank_cycles);
}

void TimedEngine::WaitForBanks(int64_t now, int64_t until) {
  if (until <= now) return Finish(now);
  phase_ = Phase::kBanks;
  until_ = until;
}

void TimedEngine::Finish(int64_t now) {
  phase_ = Phase::kIdle;
  FindLayer();
  if (machine_.times != nullptr) (*machine_.times)[current_].end = now;
  const int64_t latency = cost_.transfers ? machine_.params.dram_latency_cycles : 0;
  const TokenQueues pushes = PushesOf(Current());
  completions_.push_back({now + latency, current_, pushes});
  ForEachQueue(pushes, [&](int queue) { last_push_[static_cast<size_t>(queue)] = now + latency; });
  Complete(now);
}

// Without an instruction in hand; taking the next one leaves it as it is.
void TimedEngine::FindLayer() {
  if (instructions_.empty()) return;
  layer_ = machine_.At(instructions_[std::min(taken_, instructions_.size() - 1)]).layer;
}

std::string TimedEngine::Waiting() const {
  const char* name = kEngineNames[static_cast<int>(id_)];
  const int full = FullQueue(kNever), missing = MissingToken();
  if (full >= 0) {
    return Concat(name, " waits for room for a token to ", ConsumerOf(full), " (",
                  machine_.params.token_queue_depth, " are queued) at ",
                  machine_.program.Where(completions_.front().index));
  }
  if (missing >= 0) {
    return Concat(name, " waits for a token from ", ProducerOf(missing), " at ",
                  machine_.program.Where(current_));
  }
  return "";
}

}  // namespace tvm_vsq::sim
