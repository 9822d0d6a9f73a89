// Critical paths worked out by hand, and events on the time axis.
#include <map>
#include <string>
#include <vector>

#include "tests/cpp/programs.h"
#include "tests/cpp/testing.h"
#include "tvm_vsq/sim/trace.h"

namespace tvm_vsq {
namespace {

using sim::Step;
using testing::Finish;
using testing::Load;
using testing::MakeGemm;
using testing::MakePpu;
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
  CheckPath({Load(sim::Pad::kInp, 0, 0, 1, "push_compute"), MakeGemm(false, 3, 1, "pop_load push_store"),
             Finish("pop_compute")},
            {{0, Step::kFetch, 105},
             {0, Step::kSetup, 133},
             {0, Step::kTransfer, 137},
             {0, Step::kLatency, 237},
             {1, Step::kCompute, 248},
             {2, Step::kCompute, 249}});
}

void TestThroughTheEngineItself() {
  CheckPath(
      {MakeGemm(true, 10, 10), MakeGemm(true, 10, 10, "push_store"), Finish("pop_compute")},
      {{0, Step::kFetch, 105}, {0, Step::kCompute, 213}, {1, Step::kCompute, 321}, {2, Step::kCompute, 322}});
}

// The third SYNC finds two tokens queued: GEMM starts when the first STORE, handed out at 109, pops one.
void TestThroughAFullTokenQueue() {
  CheckPath(
      {Sync("push_store"), Sync("push_store"), Sync("push_store"), MakeGemm(true, 10, 100, "push_store"),
       Store(sim::Pad::kOut, 0, 0, 1, "pop_compute"), Store(sim::Pad::kOut, 1, 64, 1, "pop_compute"),
       Store(sim::Pad::kOut, 2, 128, 1, "pop_compute"), Finish("pop_compute")},
      {{0, Step::kFetch, 105},
       {1, Step::kFetch, 106},
       {2, Step::kFetch, 107},
       {3, Step::kFetch, 108},
       {4, Step::kFetch, 109},
       {3, Step::kCompute, 1117},
       {7, Step::kCompute, 1118}});
}

// LOADs of 32 cycles, one behind the other from 106 on: the third's token has no room from 302 on. The eighth
// is taken when the GEMM of 245 cycles is done and the next one pops a token: the fourth is complete then,
// behind the third, and the seventh, which runs before the eighth, is not.
void TestThroughAResultThatIsHeldBack() {
  std::vector<sim::Instruction> instructions{MakeGemm(true, 1, 237)};
  for (uint64_t i = 0; i < 8; ++i)
    instructions.push_back(Load(sim::Pad::kInp, 0, 8192 * i, 1, i < 3 || i == 7 ? "push_compute" : ""));
  instructions.insert(instructions.end(), 3, MakeGemm(true, 1, 1, "pop_load"));
  instructions.push_back(MakeGemm(true, 1, 1, "pop_load push_store"));
  instructions.push_back(Finish("pop_compute"));
  CheckPath(instructions, {{0, Step::kFetch, 105},
                           {0, Step::kCompute, 350},
                           {8, Step::kSetup, 378},
                           {8, Step::kTransfer, 382},
                           {8, Step::kLatency, 482},
                           {12, Step::kCompute, 491},
                           {13, Step::kCompute, 492}});
}

// An instruction's events happen while it transfers: 36 bits in the four cycles from 133 on.
void TestEventsLieWhereTheWorkIs() {
  const sim::Program program = MakeProgram({Load(sim::Pad::kInp, 0, 0, 1, "push_store"), Finish("pop_load")});
  const sim::Trace trace = sim::TraceProgram(testing::Small(), program, 1000);
  CHECK_EQ(trace.bin_cycles, 1);
  for (size_t bin = 0; bin < trace.bins.size(); ++bin)
    CHECK_EQ(trace.bins[bin][static_cast<size_t>(isa::Event::kInpWriteBits)],
             bin >= 133 && bin < 137 ? 9 : 0);
}

// GEMMs of 58 cycles: the sixth gets into the queue of 4 when the second is taken, and LOAD comes behind it.
// Its 64 pieces lie in a burst each.
void TestThroughAFullCommandQueue() {
  std::vector<sim::Instruction> instructions(6, MakeGemm(true, 10, 5));
  instructions.push_back(Load(sim::Pad::kInp, 0, 0, 1, "push_store"));
  auto& dma = std::get<isa::Load>(instructions.back().body);
  dma.y_size = dma.y_stride = 64;
  instructions.push_back(Finish("pop_load"));
  CheckPath(instructions, {{0, Step::kFetch, 105},
                           {0, Step::kCompute, 163},
                           {6, Step::kFetch, 164},
                           {6, Step::kSetup, 164 + 8 + 20},
                           {6, Step::kTransfer, 192 + 64 * 4},
                           {6, Step::kLatency, 548},
                           {7, Step::kCompute, 549}});
}

// At 24 bytes a cycle, a burst of 128 bytes takes 6 cycles, and is 128 bytes.
void TestTracedBytesAreWholeBursts() {
  std::map<std::string, int64_t> values = testing::SmallParams();
  for (const int64_t bytes_per_cycle : {16, 24, 64, 100}) {
    values["dram_bytes_per_cycle"] = bytes_per_cycle;
    const sim::Program program = MakeProgram({Load(sim::Pad::kInp, 0, 0, 60, "push_store"),
                                              Store(sim::Pad::kOut, 0, 4096, 13), Finish("pop_load")});
    for (const int64_t bins : {1, 7, 1000}) {
      const sim::Trace trace = sim::TraceProgram(sim::ParseParams(values), program, bins);
      int64_t sum = 0;
      for (const int64_t bytes : trace.dram_bytes) sum += bytes;
      CHECK_EQ(sum, (1 + 3 + 1) * 128);  // instructions, 300 and 65 bytes
    }
  }
}

// A block of 32 lanes and its residual are 4 vectors: the PPU holds entries 1 to 12 of the 14, and fills 12
// of out, which nothing reads; a wide one fills none.
void TestOccupancyOfAResidual() {
  const sim::Params params = sim::ParseParams(testing::SmallParams(32));
  for (const bool wide : {false, true}) {
    sim::Instruction instruction = MakePpu(3, "pop_load");
    auto& ppu = std::get<isa::Ppu>(instruction.body);
    ppu.wide = wide;
    ppu.residual = true;
    ppu.res_base = 1;
    const sim::Program program =
        MakeProgram({Load(sim::Pad::kInp, 0, 0, 14, "push_ppu"), instruction, Finish()});
    uint64_t bytes = 0;
    const sim::PreparedProgram prepared = sim::Prepare(params, program, "", {}, false, &bytes);
    const sim::Trace trace = sim::TraceProgram(params, program, 1, &prepared);
    const sim::InstructionTimes &load = trace.times[0], &compute = trace.times[1];
    const auto alive = [&](sim::Pad pad) { return trace.alive[0][static_cast<size_t>(pad)]; };
    CHECK_EQ(alive(sim::Pad::kInp), 12 * (compute.end - load.transfer) + 2 * (load.end - load.transfer));
    CHECK_EQ(alive(sim::Pad::kOut), wide ? 0 : 12 * (compute.end - compute.start));
  }
}

// What is filled again ends a life and begins another: entries 0 to 3, then 2 to 5.
void TestOccupancyOfEntriesFilledAgain() {
  const sim::Program program = MakeProgram(
      {Load(sim::Pad::kInp, 0, 0, 4), Load(sim::Pad::kInp, 2, 0, 4, "push_store"), Finish("pop_load")});
  uint64_t bytes = 0;
  const sim::PreparedProgram prepared = sim::Prepare(testing::Small(), program, "", {}, false, &bytes);
  const sim::Trace trace = sim::TraceProgram(testing::Small(), program, 1, &prepared);
  CHECK_EQ(trace.alive[0][static_cast<size_t>(sim::Pad::kInp)], 4 * 4 + 4 * 4);  // a burst of 4 cycles each
}

// Entry 0 is overwritten twice, each time for as long as a GEMM runs; entry 1 is added to, and never filled.
void TestOccupancyOfOverwrites() {
  sim::Instruction gemm = MakeGemm(false, 1, 2);
  auto& loop = std::get<isa::Gemm>(gemm.body);
  loop.fresh_uops = loop.acc_out = 1;
  loop.out_reduces = true;
  const sim::Program program = MakeProgram({gemm, gemm, Finish()});
  uint64_t bytes = 0;
  const sim::PreparedProgram prepared = sim::Prepare(testing::Small(), program, "", {}, false, &bytes);
  const sim::Trace trace = sim::TraceProgram(testing::Small(), program, 1, &prepared);
  CHECK_EQ(trace.alive[0][static_cast<size_t>(sim::Pad::kAcc)], 2 * (8 + 2));
}

// A group of two entries lives from the move that fills it to the comparison behind that.
void TestOccupancyOfAVec() {
  const auto vec = [](isa::Vec::Op op) { return testing::MakeVec(op, isa::Vec::Src::kImm, 1, 1); };
  const sim::Program program = MakeProgram({vec(isa::Vec::Op::kMov), vec(isa::Vec::Op::kMax), Finish()});
  const sim::Params params = sim::ParseParams(testing::SmallParams(4));
  uint64_t bytes = 0;
  const sim::PreparedProgram prepared = sim::Prepare(params, program, "", {}, false, &bytes);
  const sim::Trace trace = sim::TraceProgram(params, program, 1, &prepared);
  CHECK_EQ(trace.alive[0][static_cast<size_t>(sim::Pad::kAcc)], 2 * (6 + 2 + 6 + 2));
}

void TestBinsAddUp() {
  const sim::Program program = MakeProgram(
      {Load(sim::Pad::kInp, 0, 0, 60, "push_compute"), MakeGemm(false, 50, 20, "pop_load"), Finish()});
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
  tvm_vsq::TestThroughAResultThatIsHeldBack();
  tvm_vsq::TestEventsLieWhereTheWorkIs();
  tvm_vsq::TestThroughAFullCommandQueue();
  tvm_vsq::TestTracedBytesAreWholeBursts();
  tvm_vsq::TestOccupancyOfAResidual();
  tvm_vsq::TestOccupancyOfEntriesFilledAgain();
  tvm_vsq::TestOccupancyOfOverwrites();
  tvm_vsq::TestOccupancyOfAVec();
  tvm_vsq::TestBinsAddUp();
  return tvm_vsq::testing::Result();
}
