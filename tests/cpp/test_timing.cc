// Cycles worked out by hand, queues that fill up, deadlocks.
#include "tests/cpp/programs.h"
#include "tests/cpp/testing.h"
#include "tvm_vsq/sim/timing.h"

namespace tvm_vsq {
namespace {

using testing::Finish;
using testing::Load;
using testing::MakeGemm;
using testing::MakePpu;
using testing::MakeProgram;
using testing::Store;
using testing::Sync;

sim::Timing Time(std::vector<sim::Instruction> instructions) {
  return sim::SimulateTiming(testing::Small(), MakeProgram(std::move(instructions)));
}

void TestSerialChain() {
  // LOAD: fetched 1, set up 9, one burst of 64 bytes = 4 cycles until 13, visible 113. GEMM 8 + 3 until 124,
  // PPU 10 + 2 until 136, STORE set up 144, 4 cycles until 148, complete 248, FINISH 249.
  const sim::Timing timing = Time({Load(sim::Pad::kInp, 0, 0, 1, "N"), MakeGemm(false, 3, 1, "p"),
                                   MakePpu(2, "N"), Store(sim::Pad::kOut, 0, 0, 2, "pP"), Finish("n")});
  CHECK_EQ(timing.cycles, 249);
  CHECK_EQ(timing.layer_end[0], 249);
  const int64_t busy[] = {5, 12, 11 + 12 + 1, 12};
  // Compute waits from 2 to 113 and FINISH from 136 to 248; STORE is fetched at 4 and waits until 136.
  const int64_t stalled[] = {0, 0, 111 + 112, 132};
  for (size_t i = 0; i < 4; ++i) {
    CHECK_EQ(timing.engines[i].busy, busy[i]);
    CHECK_EQ(timing.engines[i].stalled, stalled[i]);
  }
}

void TestTokenBackPressure() {
  // token_queue_depth 2: SYNCs push at 2, 3; the third can only at 20 + ..., when the STORE pops its first
  // token. STORE is fetched 5th at 5, behind nothing: it pops at 5, so the third SYNC (complete at 4) pushes
  // at 5.
  const sim::Timing timing =
      Time({Sync("N"), Sync("N"), Sync("N"), Sync("N"), Store(sim::Pad::kOut, 0, 0, 1, "p"),
            Store(sim::Pad::kOut, 1, 64, 1, "p"), Store(sim::Pad::kOut, 2, 128, 1, "p"),
            Store(sim::Pad::kOut, 3, 192, 1, "pP"), Finish("n")});
  // STOREs leave the channel at 17, 29, 41, 53; the fourth SYNC (taken 5) pushes at 17.
  CHECK_EQ(timing.cycles, 53 + 100 + 1);
  // Compute: the 4th waits in the queue from 4 to 5, FINISH is taken at 17 (fetched at 9, blocked since 9).
  CHECK_EQ(timing.engines[2].busy, 5);
  CHECK_EQ(timing.engines[2].stalled, (5 - 4) + (17 - 9) + (153 - 17));
}

void TestCommandQueueBackPressure() {
  std::vector<sim::Instruction> instructions(7, MakeGemm(true, 10, 10));
  instructions.push_back(Finish());
  const sim::Timing timing = Time(instructions);
  CHECK_EQ(timing.cycles, 1 + 7 * 108 + 1);
  // The queue of 4 is full when the 6th arrives at 6; a slot frees at 109, 217, 325.
  CHECK_EQ(timing.engines[0].stalled, (109 - 6) + (217 - 110) + (325 - 218));
}

void TestDeadlocks() {
  CHECK_ERROR(Time({Sync("p"), Finish()}),
              "deadlock: compute waits for a token from load at layer 'conv1', instruction 0 (SYNC)");
  CHECK_ERROR(
      Time({Load(sim::Pad::kInp, 0, 0, 1, "n"), Store(sim::Pad::kOut, 0, 0, 1, "p"), Sync("n"), Finish()}),
      "load waits for a token from compute at layer 'conv1', instruction 0 (LOAD); compute waits for a token "
      "from store at layer 'conv1', instruction 2 (SYNC); store waits for a token from compute at layer "
      "'conv1', instruction 1 (STORE)");
  std::vector<sim::Instruction> instructions{Sync("n")};
  for (int i = 0; i < 8; ++i) instructions.push_back(Sync("N"));
  instructions.push_back(Finish());
  CHECK_ERROR(Time(instructions),
              "fetch waits for room in the queue of compute (4 are queued) at layer 'conv1', "
              "instruction 5 (SYNC)");
  CHECK_ERROR(
      Time({Sync("N"), Sync("N"), Sync("N"), Finish()}),
      "compute waits for room for a token to store (2 are queued) at layer 'conv1', instruction 2 (SYNC)");
}

void TestLeftOverTokensAndEndlessPrograms() {
  CHECK_ERROR(Time({Sync("N"), Finish()}), "tokens left over at FINISH: 1 from compute to store");
  CHECK_ERROR(Time({MakeGemm(true, 2047, 1023), Finish()}), "more than max_cycles = 1000000 cycles");
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestSerialChain();
  tvm_vsq::TestTokenBackPressure();
  tvm_vsq::TestCommandQueueBackPressure();
  tvm_vsq::TestDeadlocks();
  tvm_vsq::TestLeftOverTokensAndEndlessPrograms();
  return tvm_vsq::testing::Result();
}
