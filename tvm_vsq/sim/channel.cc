#include "tvm_vsq/sim/channel.h"

#include <algorithm>

namespace tvm_vsq::sim {

void Channel::Request(Port port, int64_t now, int64_t bursts) {
  Advance(now);
  if (waiting_ == 0) free_at_ = std::max(free_at_, now);
  const auto index = static_cast<size_t>(port);
  left_[index] = bursts;
  done_at_[index] = kNever;
  Reorder();
}

bool Channel::Done(Port port, int64_t now) {
  Advance(now);
  return done_at_[static_cast<size_t>(port)] <= now;
}

int64_t Channel::NextEvent(int64_t now) {
  Advance(now);
  int64_t next = waiting_ == 0 ? kNever : free_at_ + FirstFinish() * burst_cycles_;
  for (const int64_t done : done_at_) {
    if (done > now) next = std::min(next, done);
  }
  return next;
}

// Position p of m ports has its burst number r (from 1) as number (r - 1) * m + p + 1 of all.
int64_t Channel::FirstFinish() const {
  int64_t first = kNever;
  for (int p = 0; p < waiting_; ++p) {
    first =
        std::min(first, (left_[static_cast<size_t>(turns_[static_cast<size_t>(p)])] - 1) * waiting_ + p + 1);
  }
  return first;
}

void Channel::Advance(int64_t now) {
  while (waiting_ > 0 && free_at_ < now) {
    const int64_t begun = (now - free_at_ + burst_cycles_ - 1) / burst_cycles_;
    const int64_t served = std::min(begun, FirstFinish());
    if (log_ != nullptr) {
      const bool goes_on = !log_->empty() && log_->back().end == free_at_;
      if (!goes_on) log_->push_back({free_at_, free_at_});
      log_->back().end += served * burst_cycles_;
    }
    free_at_ += served * burst_cycles_;
    for (int p = 0; p < waiting_; ++p) {
      const auto port = static_cast<size_t>(turns_[static_cast<size_t>(p)]);
      left_[port] -= served / waiting_ + (p < served % waiting_ ? 1 : 0);
      if (left_[port] == 0) done_at_[port] = free_at_;  // only the one that was served last can be
    }
    last_ = turns_[static_cast<size_t>((served - 1) % waiting_)];
    Reorder();
  }
}

void Channel::Reorder() {
  waiting_ = 0;
  for (int step = 1; step <= kPortCount; ++step) {
    const int port = (last_ + step) % kPortCount;
    if (left_[static_cast<size_t>(port)] > 0) turns_[static_cast<size_t>(waiting_++)] = port;
  }
}

}  // namespace tvm_vsq::sim
