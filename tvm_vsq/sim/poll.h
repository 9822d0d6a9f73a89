// Lets the host interrupt long loops, for example for Ctrl-C.
#ifndef TVM_VSQ_SIM_POLL_H_
#define TVM_VSQ_SIM_POLL_H_

#include <atomic>
#include <cstdint>

namespace tvm_vsq::sim {

// Called every few milliseconds of work on the thread that works; what it throws ends the work. Null: nobody
// asks.
inline std::atomic<void (*)()> poll_hook{nullptr};

// Counts work, in steps of some nanoseconds each, until it is time to call the hook.
class Poll {
 public:
  void Add(uint64_t work) {
    work_ += work;
    if (work_ < kInterval) return;
    work_ = 0;
    if (void (*hook)() = poll_hook.load(std::memory_order_relaxed)) hook();
  }

 private:
  static constexpr uint64_t kInterval = uint64_t{1} << 18;
  uint64_t work_ = 0;
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_POLL_H_
