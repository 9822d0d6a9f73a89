// Lets the host interrupt long loops, for example for Ctrl-C.
#ifndef TVM_VSQ_SIM_POLL_H_
#define TVM_VSQ_SIM_POLL_H_

#include <atomic>
#include <cstdint>

namespace tvm_vsq::sim {

// Called every few milliseconds of work on the thread that works; what it throws ends the work. Null: nobody
// asks.
inline std::atomic<void (*)()> poll_hook{nullptr};

inline constexpr uint64_t kPollInterval = uint64_t{1} << 18;

// Work of this thread since it called the hook: of all passes together, so that many short ones count as well
// as a long one.
inline thread_local uint64_t work_since_poll = 0;

// To be called in every loop whose length a program decides, with what it does there in steps of some
// nanoseconds; before or behind the work. No more than tens of milliseconds may lie between two calls.
inline void CountWork(uint64_t work) {
  work_since_poll += work;
  if (work_since_poll < kPollInterval) return;
  work_since_poll = 0;
  if (void (*hook)() = poll_hook.load(std::memory_order_relaxed)) hook();
}

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_POLL_H_
