#include "tvm_vsq/sim/engine.h"

#include <algorithm>

namespace tvm_vsq::sim {

bool TimedEngine::Step(int64_t now) {
  bool changed = Complete(now);
  if (phase_ == Phase::kRun && now >= until_) {
    phase_ = Phase::kIdle;
    const int64_t latency = id_ == Engine::kCompute ? 0 : machine_.params.dram_latency_cycles;
    completions_.push_back({now + latency, current_});
    Complete(now);
    changed = true;
  }
  if (phase_ == Phase::kIdle && !queue_.empty() && !CompletionBlocked(now)) {
    current_ = queue_.front();
    queue_.pop_front();
    phase_ = Phase::kWaitTokens;
    changed = true;
  }
  if (phase_ == Phase::kWaitTokens && TakeTokens()) {
    Start(now);
    changed = true;
  }
  if (phase_ == Phase::kSetup && now >= until_) {
    StartTransfer(now);
    changed = true;
  }
  return changed;
}

// Results become visible in order; a full token queue holds back this one and all behind it.
bool TimedEngine::Complete(int64_t now) {
  bool changed = false;
  while (!completions_.empty() && completions_.front().time <= now && !CompletionBlocked(now)) {
    const Instruction& instruction = machine_.program.instructions[completions_.front().index];
    for (const int queue : TokensOf(instruction).pushes) {
      if (queue >= 0) ++machine_.tokens[static_cast<size_t>(queue)];
    }
    machine_.timing.layer_end[instruction.layer] = now;
    machine_.timing.cycles = now;
    completions_.pop_front();
    changed = true;
  }
  return changed;
}

bool TimedEngine::CompletionBlocked(int64_t now) const {
  if (completions_.empty() || completions_.front().time > now) return false;
  for (const int queue : TokensOf(machine_.program.instructions[completions_.front().index]).pushes) {
    if (queue >= 0 && machine_.tokens[static_cast<size_t>(queue)] >= machine_.params.token_queue_depth)
      return true;
  }
  return false;
}

bool TimedEngine::TakeTokens() {
  const TokenUse use = TokensOf(Current());
  for (const int queue : use.pops) {
    if (queue >= 0 && machine_.tokens[static_cast<size_t>(queue)] == 0) return false;
  }
  for (const int queue : use.pops) {
    if (queue >= 0) --machine_.tokens[static_cast<size_t>(queue)];
  }
  return true;
}

void TimedEngine::Start(int64_t now) {
  if (id_ == Engine::kCompute) {
    machine_.cost.AddEvents(Current(), 0, &machine_.timing.events[Current().layer]);
    granted_ = now;
    until_ = now + machine_.cost.ComputeCycles(Current());
    phase_ = Phase::kRun;
  } else {
    granted_ = now;
    until_ = now + machine_.params.dma_setup_cycles;
    phase_ = Phase::kSetup;
  }
}

void TimedEngine::StartTransfer(int64_t now) {
  const auto& dma = std::get<Dma>(Current().body);
  const int64_t bursts = CountBursts(machine_.params, dma);
  const int64_t cycles = machine_.cost.ChannelCycles(bursts);
  // A transfer of border entries only leaves the channel alone.
  granted_ = cycles == 0 ? now : machine_.channel.Request(now, cycles);
  const auto border = static_cast<int64_t>(dma.SramEntries() - dma.DramEntries());
  until_ = granted_ + std::max(cycles, border);
  machine_.cost.AddEvents(Current(), bursts, &machine_.timing.events[Current().layer]);
  phase_ = Phase::kRun;
}

int64_t TimedEngine::NextEvent(int64_t now) const {
  int64_t next = kNever;
  if (phase_ == Phase::kSetup || phase_ == Phase::kRun) next = granted_ > now ? granted_ : until_;
  if (!completions_.empty() && completions_.front().time > now)
    next = std::min(next, completions_.front().time);
  return next;
}

void TimedEngine::Account(int64_t now, int64_t next) {
  Activity& activity = machine_.timing.engines[static_cast<size_t>(id_) + 1];
  if (phase_ == Phase::kSetup || phase_ == Phase::kRun) {
    (now < granted_ ? activity.stalled : activity.busy) += next - now;
  } else if (phase_ == Phase::kWaitTokens || (CompletionBlocked(now) && !queue_.empty())) {
    activity.stalled += next - now;
  }
}

std::string TimedEngine::Waiting() const {
  const char* name = kEngineNames[static_cast<int>(id_)];
  if (!completions_.empty()) {
    const size_t index = completions_.front().index;
    for (const int queue : TokensOf(machine_.program.instructions[index]).pushes) {
      if (queue < 0 || machine_.tokens[static_cast<size_t>(queue)] < machine_.params.token_queue_depth)
        continue;
      return Concat(name, " waits for room for a token to ", kTokenRoutes[queue].to, " (",
                    machine_.params.token_queue_depth, " are queued) at ", machine_.program.Where(index));
    }
  }
  if (phase_ != Phase::kWaitTokens) return "";
  for (const int queue : TokensOf(Current()).pops) {
    if (queue < 0 || machine_.tokens[static_cast<size_t>(queue)] > 0) continue;
    return Concat(name, " waits for a token from ", kTokenRoutes[queue].from, " at ",
                  machine_.program.Where(current_));
  }
  return "";
}

}  // namespace tvm_vsq::sim
