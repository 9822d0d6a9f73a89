#include "tvm_vsq/sim/thread_pool.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <system_error>
#include <thread>

#ifdef __linux__
#include <pthread.h>
#include <sched.h>
#endif

namespace tvm_vsq::sim {
namespace {

// Waking a thread takes longer than most instructions, so a worker stays awake for the next one: longer than
// what usually lies between two instructions that use the threads, and nothing beside a whole run.
constexpr std::chrono::microseconds kSpinTime(200);

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

// Waits a little; Over() once that was long in all.
class Spin {
 public:
  bool Over() {
    Pause();
    if (++pauses_ % 64 == 0) over_ = Clock::now() >= end_;
    return over_;
  }

 private:
  using Clock = std::chrono::steady_clock;
  const Clock::time_point end_ = Clock::now() + kSpinTime;
  int pauses_ = 0;
  bool over_ = false;
};

// The caller works on its job like everyone else, so that a thread that sleeps, or that the system does not
// run, delays nothing.
class ThreadPool {
 public:
  void Run(size_t threads, size_t parts, const std::function<void(size_t)>& work) {
    const std::unique_lock<std::mutex> lock(callers_, std::try_to_lock);
    if (!lock.owns_lock()) {
      for (size_t part = 0; part < parts; ++part) work(part);
      return;
    }
    AddWorkers(threads - 1);
    work_ = &work;
    parts_ = parts;
    next_.store(0, std::memory_order_relaxed);
    seats_.store(static_cast<int>(threads) - 1, std::memory_order_relaxed);
    {
      const std::lock_guard<std::mutex> sleepers(sleep_mutex_);
      state_.fetch_add(kOpen, std::memory_order_release);
    }
    wake_.notify_all();
    Work();
    state_.fetch_add(kOpen, std::memory_order_acq_rel);  // closed
    for (Spin spin; (state_.load(std::memory_order_acquire) & kMembers) > 0;) {
      if (spin.Over()) std::this_thread::yield();
    }
  }

 private:
  // state_: the threads that are working on the job, and above them a count that moves by one when a job
  // opens and when it closes; so it is odd while one is open.
  static constexpr uint64_t kOpen = uint64_t{1} << 16, kMembers = kOpen - 1;

  static bool IsOpen(uint64_t state) { return (state & kOpen) != 0; }

  void AddWorkers(size_t count) {
    try {
      for (; workers_ < count; ++workers_) std::thread([this] { Serve(); }).detach();
    } catch (const std::system_error&) {  // the system has no more; those that there are suffice
    }
  }

  void Work() {
    for (size_t part; (part = next_.fetch_add(1, std::memory_order_relaxed)) < parts_;) (*work_)(part);
  }

  void Serve() {
    uint64_t done = 0;  // the job that this thread left
    while (true) {
      uint64_t state = Await(done);
      done = state / kOpen;
      // Nobody joins a closed job: its work may be gone.
      while (IsOpen(state) && state / kOpen == done && !state_.compare_exchange_weak(state, state + 1)) {
      }
      if (!IsOpen(state) || state / kOpen != done) continue;
      if (seats_.fetch_sub(1, std::memory_order_relaxed) > 0) Work();
      state_.fetch_sub(1, std::memory_order_release);
    }
  }

  // The state once another job than `done` is open.
  uint64_t Await(uint64_t done) {
    uint64_t state = 0;
    const auto is_new = [&] {
      state = state_.load(std::memory_order_acquire);
      return IsOpen(state) && state / kOpen != done;
    };
    for (Spin spin; !spin.Over();) {
      if (is_new()) return state;
    }
    std::unique_lock<std::mutex> lock(sleep_mutex_);
    wake_.wait(lock, is_new);
    return state;
  }

  std::mutex callers_, sleep_mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> state_{0};
  std::atomic<size_t> next_{0};  // part
  std::atomic<int> seats_{0};    // how many more threads the caller wants
  // Written while no job is open.
  const std::function<void(size_t)>* work_ = nullptr;
  size_t parts_ = 0, workers_ = 0;
};

// Never destroyed: its threads end with the process. A forked child has none of them, and starts anew.
ThreadPool* pool = nullptr;

ThreadPool& Pool() {
  static const bool made = [] {
    pool = new ThreadPool;
#ifdef __linux__
    pthread_atfork(nullptr, nullptr, [] { pool = new ThreadPool; });
#endif
    return true;
  }();
  static_cast<void>(made);
  return *pool;
}

}  // namespace

int AvailableThreads() {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  const unsigned count = std::thread::hardware_concurrency();
  return count == 0 ? 1 : static_cast<int>(count);
}

void RunParallel(size_t threads, size_t parts, const std::function<void(size_t)>& work) {
  if (threads > 1 && parts > 1) return Pool().Run(threads, parts, work);
  for (size_t part = 0; part < parts; ++part) work(part);
}

}  // namespace tvm_vsq::sim
