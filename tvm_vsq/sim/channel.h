// The DRAM channel: whole bursts, round robin between fetch and the engines that have a port.
#ifndef TVM_VSQ_SIM_CHANNEL_H_
#define TVM_VSQ_SIM_CHANNEL_H_

#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "tvm_vsq/sim/params.h"

namespace tvm_vsq::sim {

inline constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

// Requesters, in the order in which they take turns: isa::kFetchPort, or that of an engine in isa::kPortOf.
using Port = int;
using isa::kPortCount;

// Serves one burst after the other, each for the same number of cycles. A burst that has begun is finished;
// then it is the turn of the next port that has bursts waiting. Bursts are not events: what happens between
// two requests is computed at once. Times given to the functions must not decrease.
class Channel {
 public:
  explicit Channel(int64_t burst_cycles) : burst_cycles_(burst_cycles) { done_at_.fill(0); }

  // The port must have no bursts waiting; bursts >= 1.
  void Request(Port port, int64_t now, int64_t bursts);
  // Whether all bursts that the port asked for are through.
  bool Done(Port port, int64_t now);
  // When the next port is done if nothing is requested before; kNever if nothing is under way.
  int64_t NextEvent(int64_t now);

  int64_t burst_cycles() const { return burst_cycles_; }

  // From now on, appends to `log` when the channel was busy, in order and without overlaps; null: no longer.
  struct Interval {
    int64_t begin, end;
  };
  void RecordTo(std::vector<Interval>* log) { log_ = log; }

 private:
  // Books all bursts that begin before `now`.
  void Advance(int64_t now);
  // Bursts until the first of the waiting ports has had its last one.
  int64_t FirstFinish() const;
  void Reorder();

  const int64_t burst_cycles_;
  int64_t free_at_ = 0;                      // when the next burst can begin
  std::array<int64_t, kPortCount> left_{};   // bursts not begun
  std::array<int64_t, kPortCount> done_at_;  // end of the last burst; kNever while some have not begun
  std::array<int, kPortCount> turns_{};      // waiting ports, the next one first
  int waiting_ = 0;
  std::vector<Interval>* log_ = nullptr;
  int last_ = kPortCount - 1;  // the port served last
};

// The channel of this hardware.
inline Channel MakeChannel(const Params& params) {
  return Channel((params.dram_burst_bytes + params.dram_bytes_per_cycle - 1) / params.dram_bytes_per_cycle);
}

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_CHANNEL_H_
