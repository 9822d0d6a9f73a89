#include "tvm_vsq/sim/fetch.h"

#include <algorithm>

namespace tvm_vsq::sim {

FetchUnit::FetchUnit(Machinery* machine, std::vector<TimedEngine>* engines)
    : machine_(*machine),
      engines_(*engines),
      count_(machine_.program.instructions.size()),
      chunk_(static_cast<size_t>(
          std::max<int64_t>(1, machine_.params.dram_burst_bytes / isa::kInstructionBytes))),
      chunk_bursts_(
          (static_cast<int64_t>(chunk_) * isa::kInstructionBytes + machine_.params.dram_burst_bytes - 1) /
          machine_.params.dram_burst_bytes) {}

void FetchUnit::Step(int64_t now) {
  while (Advance(now)) {
  }
}

bool FetchUnit::Advance(int64_t now) {
  bool changed = Prefetch(now);
  while (!arrivals_.empty() && arrivals_.front() <= now) {
    arrivals_.pop_front();
    ++arrived_;
    changed = true;
  }
  if (decoded_at_ == kNever && !Finished() && next_ / chunk_ < arrived_) {
    decoded_at_ = now + machine_.params.fetch_cycles;
    activity().busy += machine_.params.fetch_cycles;
    changed = true;
  }
  if (decoded_at_ <= now && !Target().QueueFull()) {
    if (machine_.times != nullptr) (*machine_.times)[next_].queued = now;
    Target().Enqueue();
    ++next_;
    decoded_at_ = kNever;
    changed = true;
  }
  return changed;
}

// One request at a time; the buffer holds what is requested and not yet handed out.
bool FetchUnit::Prefetch(int64_t now) {
  bool changed = false;
  if (requesting_ && machine_.channel.Done(isa::kFetchPort, now)) {
    arrivals_.push_back(now + machine_.params.dram_latency_cycles);
    requesting_ = false;
    changed = true;
  }
  const auto held = static_cast<int64_t>(requested_ - next_ / chunk_);
  if (!requesting_ && requested_ * chunk_ < count_ && held < machine_.params.fetch_buffer_bursts) {
    machine_.channel.Request(isa::kFetchPort, now, chunk_bursts_);
    ++requested_;
    requesting_ = true;
    changed = true;
  }
  return changed;
}

int64_t FetchUnit::NextEvent(int64_t now) const {
  const int64_t decoded = Decoding(now) ? decoded_at_ : kNever;
  return arrivals_.empty() ? decoded : std::min(decoded, arrivals_.front());
}

TimedEngine& FetchUnit::Target() const { return engines_[static_cast<size_t>(TargetId())]; }

std::string FetchUnit::Waiting() const {
  if (Finished()) return "";
  return Concat("fetch waits for room in the queue of ", kEngineNames[static_cast<int>(TargetId())], " (",
                machine_.params.command_queue_depth, " are queued) at ", machine_.program.Where(next_));
}

}  // namespace tvm_vsq::sim
