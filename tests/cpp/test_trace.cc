// Critical paths worked out by hand, and events on the time axis.
#include "tests/cpp/programs.h"
#include "tests/cpp/testing.h"
#include "tvm_vsq/sim/trace.h"

namespace tvm_vsq {
namespace {

using sim::Step;
using testing::Finish;
using testing::Load;
using testing::MakeGemm;
using testing::MakeProgram;
using testing::Store;
using testing::Sync;

struct Expected {
  size_t instruction;
  Step step;
  int64_t end;
};

void CheckPath(std::vector<sim::Instruction> instructions, const std::vector<Expected>& expected) {
  const sim::Trace trace = sim::TraceProgram(testing::Small(), MakeProgram(std::move(instructions)), 100);
  CHECK_EQ(trace.path.size(), expected.size());
  int64_t now = 0;
  for (size_t i = 0; i < std::min(trace.path.size(), expected.size()); ++i) {
    CHECK_EQ(trace.path[i].instruction, expected[i].instruction);
    CHECK_EQ(static_cast<int>(trace.path[i].step), static_cast<int>(expected[i].step));
    CHECK_EQ(trace.path[i].begin, now);
    CHECK_EQ(trace.path[i].end, expected[i].end);
    now = expected[i].end;
  }
  CHECK_EQ(now, trace.cycles);
}

void TestThroughTokens() {
  CheckPath({Load(sim::Pad::kInp, 0, 0, 1, "N"), MakeGemm(false, 3, 1, "p"), Finish()},
            {{0, Step::kFetch, 105},
             {0, Step::kSetup, 133},
             {0, Step::kTransfer, 137},
             {0, Step::kLatency, 237},
             {1, Step::kCompute, 248},
             {2, Step::kCompute, 249}});
}

void TestThroughTheEngineItself() {
  CheckPath(
      {MakeGemm(true, 10, 10), MakeGemm(true, 10, 10), Finish()},
      {{0, Step::kFetch, 105}, {0, Step::kCompute, 213}, {1, Step::kCompute, 321}, {2, Step::kCompute, 322}});
}

// The third SYNC finds two tokens queued: GEMM starts when the first STORE, handed out at 109, pops one.
void TestThroughAFullTokenQueue() {
  CheckPath({Sync("N"), Sync("N"), Sync("N"), MakeGemm(true, 10, 100), Store(sim::Pad::kOut, 0, 0, 1, "p"),
             Store(sim::Pad::kOut, 1, 64, 1, "p"), Store(sim::Pad::kOut, 2, 128, 1, "pP"), Finish("n")},
            {{0, Step::kFetch, 105},
             {1, Step::kFetch, 106},
             {2, Step::kFetch, 107},
             {3, Step::kFetch, 108},
             {4, Step::kFetch, 109},
             {3, Step::kCompute, 1117},
             {7, Step::kCompute, 1118}});
}

void TestBinsAddUp() {
  const sim::Program program =
      MakeProgram({Load(sim::Pad::kInp, 0, 0, 60, "N"), MakeGemm(false, 50, 20, "p"), Finish()});
  for (const int64_t bins : {1, 7, 100, 100000}) {
    const sim::Trace trace = sim::TraceProgram(testing::Small(), program, bins);
    CHECK_EQ(static_cast<int64_t>(trace.bins.size()) <= bins, true);
    sim::EventCounts sum{};
    for (const sim::EventCounts& counts : trace.bins) {
      for (size_t event = 0; event < sum.size(); ++event) sum[event] += counts[event];
    }
    const sim::EventCounts all = sim::SimulateTiming(testing::Small(), program).layers[0].events;
    for (size_t event = 0; event < sum.size(); ++event) CHECK_EQ(sum[event], all[event]);
  }
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestThroughTokens();
  tvm_vsq::TestThroughTheEngineItself();
  tvm_vsq::TestThroughAFullTokenQueue();
  tvm_vsq::TestBinsAddUp();
  return tvm_vsq::testing::Result();
}
