// Every part of a job is done once, by whatever threads, for several callers at a time.
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "tests/cpp/testing.h"
#include "tvm_vsq/sim/thread_pool.h"

namespace tvm_vsq {
namespace {

// Returns how many parts were not done exactly once.
int CountWrong(size_t seed) {
  int wrong = 0;
  for (size_t round = 0; round < 1000; ++round) {
    const size_t parts = (seed + 7 * round) % 40, threads = 1 + (seed + round) % 5;
    std::vector<int> done(parts);
    sim::RunParallel(threads, parts, [&](size_t part) { ++done[part]; });
    for (const int count : done) wrong += count == 1 ? 0 : 1;
    // Long enough for the workers to fall asleep.
    if (round % 100 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return wrong;
}

void TestEveryPartIsDoneOnce() {
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (size_t seed = 0; seed < 3; ++seed) callers.emplace_back([&wrong, seed] { wrong += CountWrong(seed); });
  for (std::thread& caller : callers) caller.join();
  CHECK_EQ(wrong.load(), 0);
}

// Each part waits for the other, so that one thread alone would never end.
void TestThreadsRunSideBySide() {
  std::atomic<int> arrived{0};
  sim::RunParallel(2, 2, [&](size_t) {
    for (++arrived; arrived < 2;) std::this_thread::yield();
  });
  CHECK_EQ(arrived.load(), 2);
  CHECK_EQ(sim::AvailableThreads() >= 1, true);
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestEveryPartIsDoneOnce();
  tvm_vsq::TestThreadsRunSideBySide();
  return tvm_vsq::testing::Result();
}
