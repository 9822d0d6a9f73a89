// The DRAM channel: first come, first served, one whole LOAD or STORE at a time.
#ifndef TVM_VSQ_SIM_CHANNEL_H_
#define TVM_VSQ_SIM_CHANNEL_H_

#include <algorithm>
#include <cstdint>

namespace tvm_vsq::sim {

class Channel {
 public:
  // Requests must come in time order. Returns the cycle at which the transfer of `cycles` starts.
  int64_t Request(int64_t now, int64_t cycles) {
    const int64_t start = std::max(now, free_at_);
    free_at_ = start + cycles;
    return start;
  }

 private:
  int64_t free_at_ = 0;
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_CHANNEL_H_
