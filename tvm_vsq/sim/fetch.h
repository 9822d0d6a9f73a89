// Fetch: prefetches the instruction stream from DRAM and hands instructions out in program order.
#ifndef TVM_VSQ_SIM_FETCH_H_
#define TVM_VSQ_SIM_FETCH_H_

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "tvm_vsq/sim/engine.h"

namespace tvm_vsq::sim {

class FetchUnit {
 public:
  // `engines` are all of them, by number.
  FetchUnit(Machinery* machine, std::vector<TimedEngine>* engines);

  // As TimedEngine's.
  void Step(int64_t now);
  int64_t NextEvent(int64_t now) const;

  bool Finished() const { return next_ == count_; }
  // Whether the next instruction is being decoded.
  bool Decoding(int64_t now) const { return now < decoded_at_ && decoded_at_ != kNever; }
  // Whether its bytes are missing, and then whether that is because they are not through the channel.
  bool WaitsForBytes() const { return !Finished() && decoded_at_ == kNever; }
  bool WaitsForChannel() const { return requesting_ && next_ / chunk_ + 1 == requested_; }
  // The engine that the next instruction is for.
  TimedEngine& Target() const;
  Engine TargetId() const { return machine_.At(next_).engine(); }
  uint32_t Layer() const { return machine_.At(Finished() ? count_ - 1 : next_).layer; }
  Activity& activity() { return machine_.ActivityOf(Layer(), 0); }

  // For the deadlock report, "" if all instructions are out.
  std::string Waiting() const;

 private:
  bool Advance(int64_t now);
  bool Prefetch(int64_t now);

  Machinery& machine_;
  std::vector<TimedEngine>& engines_;
  const size_t count_;
  const size_t chunk_;  // instructions of one request
  const int64_t chunk_bursts_;
  size_t requested_ = 0;          // chunks
  bool requesting_ = false;       // the last of them is not through the channel
  std::deque<int64_t> arrivals_;  // of chunks that are through, those that next_ has not reached
  size_t arrived_ = 0;            // chunks that have arrived
  size_t next_ = 0;               // the instruction in hand
  int64_t decoded_at_ = kNever;   // when it can be handed out; kNever if its bytes are missing
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_FETCH_H_
