// Whatever a program's size lets run long asks the host on the way whether to go on.
#include "tvm_vsq/sim/poll.h"

#include <stdexcept>
#include <string>
#include <vector>

#include "tests/cpp/programs.h"
#include "tests/cpp/testing.h"
#include "tvm_vsq/runtime/limits.h"
#include "tvm_vsq/runtime/serialize.h"
#include "tvm_vsq/runtime/tensor_codec.h"
#include "tvm_vsq/sim/cost.h"
#include "tvm_vsq/sim/critical_path.h"
#include "tvm_vsq/sim/declarations.h"
#include "tvm_vsq/sim/decode.h"
#include "tvm_vsq/sim/dram_order.h"
#include "tvm_vsq/sim/gemm.h"
#include "tvm_vsq/sim/gemm_bound.h"
#include "tvm_vsq/sim/gemm_plan.h"
#include "tvm_vsq/sim/machine.h"
#include "tvm_vsq/sim/occupancy.h"
#include "tvm_vsq/sim/order.h"
#include "tvm_vsq/sim/overflow.h"
#include "tvm_vsq/sim/prepare.h"
#include "tvm_vsq/sim/shadow.h"
#include "tvm_vsq/sim/trace.h"
#include "tvm_vsq/sim/weight_range.h"

namespace tvm_vsq {
namespace {

using testing::Finish;
using testing::Load;
using testing::MakeGemm;
using testing::MakePpu;
using testing::Store;
using testing::Sync;

struct Interrupted : std::runtime_error {
  Interrupted() : std::runtime_error("interrupted") {}
};

int polls = 0;

// The work must ask at least so often, and what the hook throws must end it.
template <typename Work>
void CheckPolls(const char* file, int line, const char* text, int at_least, Work work) {
  sim::work_since_poll = 0;
  polls = 0;
  sim::poll_hook = [] { ++polls; };
  work();
  if (polls < at_least)
    testing::Report(file, line, sim::Concat(text, " polls ", polls, " times, not ", at_least));
  sim::poll_hook = [] { throw Interrupted(); };
  bool ended = false;
  try {
    work();
  } catch (const Interrupted&) {
    ended = true;
  }
  if (!ended) testing::Report(file, line, sim::Concat(text, " goes on"));
  sim::poll_hook = nullptr;
}

#define CHECK_POLLS(at_least, statement) \
  CheckPolls(__FILE__, __LINE__, #statement, (at_least), [&] { statement; })

constexpr uint32_t kEntries = 1 << 14, kCount = 256;
constexpr uint64_t kDramBytes = uint64_t{1} << 23;

// The small accelerator with large scratchpads.
sim::Params Large() {
  std::map<std::string, int64_t> params = testing::SmallParams();
  for (const char* depth : {"uop_depth", "inp_depth", "acc_depth", "out_depth"}) params[depth] = kEntries;
  params["wgt_depth"] = 1 << 9;
  params["par_depth"] = 1 << 10;
  params["uop_record_bytes"] = 5;
  params["dram_bytes"] = kDramBytes;
  params["command_queue_depth"] = params["token_queue_depth"] = 1 << 20;
  params["max_cycles"] = int64_t{1} << 44;
  return sim::ParseParams(params);
}

const sim::Params kParams = Large();

// The instructions of `body` kCount times.
sim::Program Repeated(const std::vector<sim::Instruction>& body, uint32_t count = kCount) {
  sim::Program program;
  program.layer_names = {"layer"};
  program.dram_bytes = kDramBytes;
  for (uint32_t i = 0; i < count; ++i)
    program.instructions.insert(program.instructions.end(), body.begin(), body.end());
  program.instructions.push_back(Finish());
  return program;
}

// A transfer of kEntries entries, none beside another in DRAM.
template <typename Insn>
sim::Instruction Scattered(sim::Pad pad) {
  sim::Instruction instruction = testing::MakeTransfer<Insn>(pad, 0, 0, 1, "");
  std::get<Insn>(instruction.body).x_size = kEntries;
  std::get<Insn>(instruction.body).x_stride = 2;
  return instruction;
}

// One micro-op on kEntries accumulators, one after the other.
sim::Instruction OnAll(bool reset) {
  sim::Instruction instruction = MakeGemm(reset, 1, 128);
  auto& gemm = std::get<isa::Gemm>(instruction.body);
  gemm.iter_in = 128;
  gemm.acc_in = 1;
  gemm.acc_out = 128;
  return instruction;
}

// One micro-op so often, without moving.
sim::Instruction Compare(uint32_t iter_out, uint32_t iter_in) {
  sim::Instruction instruction = testing::MakeVec(isa::Vec::Op::kMax, isa::Vec::Src::kInp, 1, iter_out);
  std::get<isa::Vec>(instruction.body).iter_in = iter_in;
  return instruction;
}

sim::PreparedProgram Prepare(const sim::Program& program, bool verify, const std::string& image = "") {
  uint64_t bytes = 0;
  return sim::Prepare(kParams, program, image, {}, verify, &bytes);
}

void TestTransfers() {
  const sim::Program loads = Repeated({Scattered<isa::Load>(sim::Pad::kInp)});
  const sim::Program stores = Repeated({Scattered<isa::Store>(sim::Pad::kOut)});
  const sim::Program whole = Repeated({Load(sim::Pad::kInp, 0, 0, kEntries)}, 4096);
  const sim::Instruction& load = loads.instructions[0];
  const sim::Transfer read = *sim::TransferOf(load), all = *sim::TransferOf(whole.instructions[0]);
  const sim::CostModel cost(kParams);
  CHECK_POLLS(16, for (uint32_t i = 0; i < kCount; ++i) cost.CostOf(load));
  CHECK_POLLS(16, sim::SimulateTiming(kParams, loads));
  sim::DramOrder scattered(kParams, loads), contiguous(kParams, whole);
  CHECK_POLLS(16, for (size_t i = 0; i < kCount; ++i) scattered.Visit(sim::Order(loads), i, read));
  CHECK_POLLS(16, for (size_t i = 0; i < 4096; ++i) contiguous.Visit(sim::Order(whole), i, all));
  CHECK_POLLS(16, sim::WrittenBytes(kParams, stores, {}));
  const sim::WrittenBytes written(kParams, stores, {});
  CHECK_POLLS(16, for (uint32_t i = 0; i < kCount; ++i) written.FirstReadBy(read));
  CHECK_POLLS(15, written.WriterOf(stores, kDramBytes));
}

void TestMicroOpsAndWeights() {
  CHECK_POLLS(64, Prepare(Repeated({Load(sim::Pad::kUop, 0, 0, kEntries)}), false));
  // Plans that differ in a field.
  std::vector<sim::Instruction> gemms;
  for (uint32_t i = 1; i <= 64; ++i) {
    gemms.push_back(MakeGemm(true, 1 << 12, 2));
    std::get<isa::Gemm>(gemms.back().body).acc_out = i;
  }
  CHECK_POLLS(8, Prepare(Repeated(gemms, 1), false));
  const std::string image(size_t{36} << 9, '\0');
  const sim::Program weights = Repeated({Load(sim::Pad::kWgt, 0, 0, 1 << 9)});
  const sim::WrittenBytes written(kParams, weights, {});
  CHECK_POLLS(16, sim::WeightsAreSymmetric(kParams, weights, image, written));
}

void TestBounds() {
  const isa::Uop uop{};
  for (const bool reset : {false, true}) {
    const sim::Instruction instruction = OnAll(reset);
    const auto& gemm = std::get<isa::Gemm>(instruction.body);
    const sim::GemmPlan plan = sim::MakeGemmPlan(kParams, gemm, &uop);
    sim::AccumulatorBounds bounds(kParams, 0);
    CHECK_POLLS(16, for (uint32_t i = 0; i < kCount; ++i) bounds.Visit(kParams, instruction, &plan));
    sim::AccumulatorBounds unsafe(kParams, int64_t{1} << 30);
    CHECK_POLLS(16, for (uint32_t i = 0; i < kCount; ++i) unsafe.Visit(kParams, instruction, &plan));
    CHECK_POLLS(16, for (uint32_t i = 0; i < kCount; ++i) sim::MakeGemmPlan(kParams, gemm, &uop));
  }
  isa::Gemm fresh = std::get<isa::Gemm>(OnAll(false).body);
  fresh.fresh_uops = 1;
  const sim::GemmPlan overwrites = sim::MakeGemmPlan(kParams, fresh, &uop);
  const auto refuse = [](const auto&... parts) {
    testing::Report(__FILE__, __LINE__, sim::Concat(parts...));
  };
  CHECK_POLLS(16, for (uint32_t i = 0; i < kCount; ++i)
                      sim::Declared<isa::Gemm>::CheckPlan(kParams, fresh, overwrites, refuse));
  for (const isa::Vec::Op op : {isa::Vec::Op::kMov, isa::Vec::Op::kMax, isa::Vec::Op::kAdd}) {
    sim::Instruction instruction = Compare(128, 128);
    auto& vec = std::get<isa::Vec>(instruction.body);
    vec.op = op;
    vec.acc_out = 128;
    vec.acc_in = 1;
    const auto plan = sim::Declared<isa::Vec>::MakePlan(kParams, vec, &uop);
    sim::AccumulatorBounds bounds(kParams, 1);
    CHECK_POLLS(16, for (uint32_t i = 0; i < kCount; ++i) bounds.Visit(kParams, instruction, plan.get()));
  }
  sim::Instruction ppu = MakePpu(kEntries);
  std::get<isa::Ppu>(ppu.body).wide = true;
  sim::AccumulatorBounds bounds(kParams, 1);
  CHECK_POLLS(16, for (uint32_t i = 0; i < kCount; ++i) bounds.Visit(kParams, ppu, nullptr));
}

void TestRaces() {
  const sim::Program program = Repeated({Load(sim::Pad::kInp, 0, 0, kEntries)});
  sim::Shadow shadow(kParams, program);
  shadow.Begin(sim::Order(program), 0);
  CHECK_POLLS(16, for (uint32_t i = 0; i < kCount; ++i) shadow.Write(sim::Pad::kInp, 0, kEntries));
  CHECK_POLLS(16, for (uint32_t i = 0; i < kCount; ++i) shadow.Read(sim::Pad::kInp, 0, kEntries));
}

void TestInstructions() {
  constexpr size_t kBytes = isa::kInstructionBytes;
  std::string words(kBytes << 15, '\0');
  const isa::Layout layout(kParams.Sizes());
  const auto set = [&](size_t index, isa::Opcode opcode) {
    words[kBytes * index] = static_cast<char>(opcode);
  };
  const size_t count = words.size() / kBytes;
  for (size_t i = 0; i < count; ++i) set(i, isa::Opcode::kSync);
  set(count - 1, isa::Opcode::kFinish);
  const std::string layers(4 * count, '\0');
  CHECK_POLLS(3, sim::DecodeProgram(kParams, words, layers, {"layer"}, 0));
  const sim::Program syncs = Repeated({Sync()}, 1 << 15);
  CHECK_POLLS(4, sim::SimulateTiming(kParams, syncs));
  sim::Program ordered = syncs;
  ordered.instructions[ordered.instructions.size() - 2] = Sync("push_store");
  ordered.instructions.back() = Finish("pop_compute");
  CHECK_POLLS(1, sim::CheckOrder(kParams, ordered));
  CHECK_POLLS(2, Prepare(syncs, true));
}

void TestTimeAxis() {
  const sim::Program syncs = Repeated({Sync()}, 1 << 15);
  sim::TimingRecord record;
  sim::SimulateTiming(kParams, syncs, &record);
  CHECK_POLLS(4, sim::CriticalPath(kParams, syncs, record.times));
  const sim::Program loads = Repeated({Load(sim::Pad::kInp, 0, 0, kEntries)});
  const sim::PreparedProgram prepared = Prepare(loads, false);
  const std::vector<sim::InstructionTimes> times(loads.instructions.size());
  CHECK_POLLS(64, sim::AliveCycles(kParams, loads, prepared, times, 1, 1));
  const sim::Program stores = Repeated({Store(sim::Pad::kOut, 0, 0, kEntries)});
  const sim::PreparedProgram stored = Prepare(stores, false);
  CHECK_POLLS(16, sim::AliveCycles(kParams, stores, stored, times, 1, 1));
  // 2^16 bins for the events of one instruction.
  sim::Instruction once = OnAll(true);
  std::get<isa::Gemm>(once.body).acc_out = 0;
  std::get<isa::Gemm>(once.body).iter_out = 1023;
  CHECK_POLLS(7, sim::TraceProgram(kParams, Repeated({once}, 1), 1 << 17));
}

void TestRuns() {
  std::vector<uint8_t> dram(kDramBytes);
  sim::Machine machine(kParams);
  const auto run = [&](const sim::Program& program, const sim::PreparedProgram& prepared) {
    machine.Run(program, prepared, 1, &dram);
  };
  const auto check = [&](int at_least, const sim::Program& program) {
    const sim::PreparedProgram prepared = Prepare(program, false);
    CHECK_POLLS(at_least, run(program, prepared));
  };
  check(7, Repeated({Load(sim::Pad::kInp, 0, 0, kEntries)}));
  check(7, Repeated({Store(sim::Pad::kOut, 0, 0, kEntries)}));
  check(7, Repeated({OnAll(true)}));
  check(1, Repeated({OnAll(false)}));
  sim::Instruction ppu = MakePpu(kEntries);
  check(30, Repeated({ppu}));
  check(30, Repeated({Compare(1023, 1)}, 1 << 12));
  // Within one instruction.
  check(7, Repeated({Compare(1023, 1023)}, 1));
}

// Of what may overflow: the look at the operands, and the loop that looks at every sum.
void TestSumsThatMayOverflow() {
  sim::Scratchpads pads(kParams);
  const sim::GemmUnit unit(kParams);
  const auto check = [&](int bounding, int checking, const sim::Program& program) {
    const sim::PreparedProgram prepared = Prepare(program, false);
    const auto for_each = [&](auto work) {
      for (size_t i = 0; i < program.instructions.size(); ++i) {
        const auto* gemm = std::get_if<isa::Gemm>(&program.instructions[i].body);
        if (gemm != nullptr) work(i, *gemm, static_cast<const sim::GemmPlan&>(*prepared.planned[i].plan));
      }
    };
    CHECK_POLLS(bounding, for_each([&](size_t, const auto& gemm, const auto& plan) {
                  CHECK_EQ(sim::OperandsFit(kParams, gemm, plan, pads), true);
                }));
    CHECK_POLLS(checking, for_each([&](size_t i, const auto&, const auto& plan) {
                  unit.ExecuteChecked(program, i, plan, &pads);
                }));
  };
  check(8, 64, Repeated({OnAll(false)}));
  // Very many micro-ops in one iteration.
  check(1, 16, Repeated({MakeGemm(false, kEntries, 1)}, 32));
}

void TestFiles() {
  const std::string text(size_t{1} << 22, 'x');
  CHECK_POLLS(16, runtime::Checksum(text));
  CHECK_POLLS(16, runtime::IsUtf8(text));
  runtime::Descriptor vectors;
  vectors.rows = kEntries * 64;
  vectors.lanes = 9;
  std::vector<int16_t> tensor(static_cast<size_t>(vectors.rows * vectors.lanes));
  std::vector<uint8_t> dram(kDramBytes);
  CHECK_POLLS(16, runtime::WriteVectors(kParams, vectors, tensor.data(), &dram));
  CHECK_POLLS(16, runtime::ReadVectors(kParams, vectors, dram, tensor.data()));
  runtime::Descriptor wide;
  wide.kind = runtime::Descriptor::kWide;
  wide.rows = 1 << 17;
  wide.lanes = 8;
  std::vector<int32_t> results(static_cast<size_t>(wide.rows * wide.lanes));
  CHECK_POLLS(4, runtime::ReadWide(kParams, wide, dram, results.data()));
  CHECK_POLLS(4, runtime::WriteWide(kParams, wide, results.data(), &dram));
}

// Compute waits for the last of 2^20 LOADs, all of which are under way at once. With time that grows with the
// square of their number, this would run for longer than tests may.
void TestManyTransfersUnderWay() {
  sim::Program program = Repeated({Load(sim::Pad::kInp, 0, 0, 1)}, 1 << 20);
  sim::Params params = kParams;
  params.dram_latency_cycles = 1 << 30;
  params.fetch_buffer_bursts = 1 << 20;
  program.instructions.back() = Load(sim::Pad::kInp, 0, 0, 1, "push_compute");
  program.instructions.push_back(Sync("pop_load"));
  program.instructions.push_back(Finish());
  const sim::Timing timing = sim::SimulateTiming(params, program);
  const auto& stalls =
      timing.layers[0].units[2].stalls[static_cast<size_t>(sim::TokenFrom(isa::Engine::kLoad))];
  if (stalls[static_cast<size_t>(sim::Cause::kDramLatency)] < 1 << 29)
    testing::Report(__FILE__, __LINE__, "compute does not wait for DRAM");
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestTransfers();
  tvm_vsq::TestMicroOpsAndWeights();
  tvm_vsq::TestBounds();
  tvm_vsq::TestRaces();
  tvm_vsq::TestInstructions();
  tvm_vsq::TestTimeAxis();
  tvm_vsq::TestRuns();
  tvm_vsq::TestSumsThatMayOverflow();
  tvm_vsq::TestFiles();
  tvm_vsq::TestManyTransfersUnderWay();
  return tvm_vsq::testing::Result();
}
