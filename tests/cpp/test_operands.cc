// What is recorded of a small layer, which cycles of it, and what is refused.
#include <string>
#include <vector>

#include "tests/cpp/programs.h"
#include "tests/cpp/testing.h"
#include "tvm_vsq/sim/declarations.h"
#include "tvm_vsq/sim/machine.h"

namespace tvm_vsq {
namespace {

using sim::Engine;
using testing::Finish;
using testing::Load;
using testing::MakeGemm;
using testing::MakePpu;
using testing::MakeProgram;

// Two input records at 0 (elements 1, scale 2; elements 2, scale 1), weights of lane b at 1024 (elements 1,
// scale b), micro-ops at 2048 (0, 0, 0) and (1, 1, 0), parameters at 3072: y = acc.
std::vector<uint8_t> Image() {
  std::vector<uint8_t> dram(65536, 0);
  for (size_t i = 0; i < 4; ++i) dram[i] = 0x11, dram[5 + i] = 0x22;
  dram[4] = 2, dram[9] = 1;
  for (size_t lane = 0; lane < 8; ++lane) {
    for (size_t nibble = 0; nibble < 9; ++nibble) {
      const size_t at = 9 * lane + nibble;
      dram[1024 + at / 2] |= static_cast<uint8_t>((nibble == 8 ? lane : 1) << (at % 2 * 4));
    }
    dram[3072 + 11 * lane] = 1;
    dram[3072 + 11 * lane + 10] = 0x7f;
  }
  dram[2048 + 3] = 0x41;  // acc 1, inp 1: 6 bits each
  return dram;
}

// Resets two accumulators, adds both micro-ops twice, and post-processes them.
sim::Program Layer() {
  return MakeProgram({Load(sim::Pad::kUop, 0, 2048, 2), Load(sim::Pad::kWgt, 0, 1024, 1),
                      Load(sim::Pad::kPar, 0, 3072, 1), Load(sim::Pad::kInp, 0, 0, 2, "push_compute"),
                      MakeGemm(true, 2, 1, "pop_load"), testing::Sync(), MakeGemm(false, 2, 2, "push_ppu"),
                      MakePpu(2, "pop_compute push_store"), Finish("pop_ppu")});
}

sim::OperandRequest Request(Engine unit, size_t lane, uint64_t skip, uint64_t cycles) {
  return {0, unit, lane, skip, cycles};
}

sim::OperandRecorder Record(const sim::Program& program, const sim::OperandRequest& request) {
  std::vector<uint8_t> dram = Image();
  const sim::Params params = testing::Small();
  uint64_t bytes = 0;
  const sim::PreparedProgram prepared =
      sim::Prepare(params, program, std::string(dram.begin(), dram.end()), {}, true, &bytes);
  sim::OperandRecorder recorder(params, program, request);
  sim::Machine(params).Record(program, prepared, 1, &dram, &recorder);
  return recorder;
}

void CheckColumn(sim::OperandRecorder* recorder, const char* name, const std::vector<int64_t>& expected) {
  CHECK_EQ(recorder->rows().columns().count(name), size_t{1});
  if (recorder->rows().columns()[name] == expected) return;
  testing::Report(__FILE__, __LINE__, sim::Concat("column ", name, " differs"));
}

void TestCyclesOfALane() {
  sim::OperandRecorder all = Record(Layer(), Request(Engine::kCompute, 3, 0, 100));
  CHECK_EQ(all.cycles(), uint64_t{6});
  CHECK_EQ(all.rows().recorded(), uint64_t{6});
  CheckColumn(&all, "entry", {0, 1, 0, 1, 0, 1});
  CheckColumn(&all, "instruction", {4, 4, 6, 6, 6, 6});
  CheckColumn(&all, "reset", {1, 1, 0, 0, 0, 0});
  CheckColumn(&all, "activation_scale", {0, 0, 2, 1, 2, 1});
  CheckColumn(&all, "weight_scale", {0, 0, 3, 3, 3, 3});
  CheckColumn(&all, "before", {0, 0, 0, 0, 48, 48});
  CheckColumn(&all, "after", {0, 0, 48, 48, 96, 96});
  CHECK_EQ(all.rows().columns()["weights"].size(), size_t{48});
}

void TestAPartOfTheCycles() {
  sim::OperandRecorder part = Record(Layer(), Request(Engine::kCompute, 1, 1, 3));
  CHECK_EQ(part.cycles(), uint64_t{6});
  CHECK_EQ(part.rows().recorded(), uint64_t{3});
  CheckColumn(&part, "entry", {1, 0, 1});
  CheckColumn(&part, "after", {0, 16, 16});
  sim::OperandRecorder last = Record(Layer(), Request(Engine::kCompute, 1, 5, 100));
  CheckColumn(&last, "after", {32});
}

// Where the loop goes on with reductions, only its first iteration begins them.
void TestReductionsThatBegin() {
  sim::Program program = Layer();
  auto& gemm = std::get<isa::Gemm>(program.instructions[6].body);
  gemm.fresh_uops = 1;
  gemm.out_reduces = true;
  sim::OperandRecorder recorder = Record(program, Request(Engine::kCompute, 2, 2, 4));
  CheckColumn(&recorder, "fresh", {1, 0, 0, 0});
  CheckColumn(&recorder, "before", {0, 0, 32, 32});
  CheckColumn(&recorder, "after", {32, 32, 64, 64});
}

void TestAnInstructionThatDoesSomethingElse() {
  const sim::Params params = testing::Small();
  const isa::Uop uop{5, 0, 0};
  sim::Scratchpads pads(params);
  pads.acc32[5 * 8 + 2] = 7;
  pads.par[0].bias = pads.par[0].clip = 1;
  const auto record = [&](const auto& insn, const sim::MicroOpPlan* plan, auto... lane) {
    const sim::RecordCodec codec(params);
    const sim::Program program = MakeProgram({testing::Make(insn)});
    const sim::Execution execution{params, codec, program, 0, plan, false, 1, &pads, nullptr};
    sim::OperandRows rows(0, 1);
    const sim::RecordResults record_results = sim::RecordOperands(insn, execution, lane..., &rows);
    record_results();  // it was not executed
  };
  const auto gemm = std::get<isa::Gemm>(MakeGemm(true, 1, 1).body);
  CHECK_ERROR(record(gemm, sim::Declared<isa::Gemm>::MakePlan(params, gemm, &uop).get(), size_t{2}),
              "instruction 0 (GEMM): acc entry 5, lane 2 became 7, but its operands give 0");
  auto vec = std::get<isa::Vec>(testing::MakeVec(isa::Vec::Op::kAdd, isa::Vec::Src::kImm, 1, 1).body);
  vec.imm = 3;
  CHECK_ERROR(record(vec, sim::Declared<isa::Vec>::MakePlan(params, vec, &uop).get(), size_t{2}),
              "instruction 0 (VEC): acc entry 5, lane 2 became 7, but its operands give 10");
  auto ppu = std::get<isa::Ppu>(MakePpu(1).body);
  CHECK_ERROR(record(ppu, nullptr),
              "instruction 0 (PPU): pixel 0 became something else than its operands give");
  ppu.wide = true;
  CHECK_ERROR(record(ppu, nullptr),
              "instruction 0 (PPU): pixel 0 became something else than its operands give");
}

void TestPostProcessing() {
  sim::OperandRecorder ppu = Record(Layer(), Request(Engine::kPpu, 0, 1, 100));
  CHECK_EQ(ppu.cycles(), uint64_t{2});
  CheckColumn(&ppu, "acc", {0, 32, 64, 96, 128, 160, 192, 224});
  CheckColumn(&ppu, "y", {0, 32, 64, 96, 128, 160, 192, 224});
  // 7 * 2^2 for scale 1: ceil(224 / 28) = 8.
  CheckColumn(&ppu, "out_scales", {8});
  CheckColumn(&ppu, "out_elements", {0, 1, 2, 3, 4, 5, 6, 7});
  CheckColumn(&ppu, "stored", {1});
  CheckColumn(&ppu, "first", {1});
  CheckColumn(&ppu, "last", {1});
}

void TestWhatIsRefused() {
  const auto refused = [](const sim::OperandRequest& request, const char* part) {
    CHECK_ERROR(sim::OperandRecorder(testing::Small(), Layer(), request), part);
  };
  refused(Request(Engine::kLoad, 0, 0, 1),
          "operands of load are not recorded, only those of compute, vector");
  refused(Request(Engine::kVector, 0, 0, 1), "layer 'conv1' has no cycles of vector");
  refused(Request(Engine::kCompute, 8, 0, 1), "lane is 8, must be below output_lanes, 8");
  refused(Request(Engine::kPpu, 1, 0, 1), "lane is 1, must be 0 for ppu, which is recorded with all lanes");
  refused(Request(Engine::kCompute, 0, 0, 0), "cycles is 0, must be 1 to 1000000");
  refused(Request(Engine::kCompute, 0, 0, 1'000'001), "cycles is 1000001, must be 1 to 1000000");
  refused(Request(Engine::kCompute, 0, 6, 1),
          "skip is 6, must be below the 6 cycles of compute in layer 'conv1'");
  sim::Program windows = Layer();
  isa::Dwconv conv;
  conv.tap_rows = conv.tap_columns = conv.uop_count = conv.iter_out = conv.iter_in = 1;
  windows.instructions[6].body = conv;
  CHECK_ERROR(sim::OperandRecorder(testing::Small(), windows, Request(Engine::kCompute, 0, 0, 1)),
              "layer 'conv1', instruction 6 (DWCONV): its operands are not recorded, only those of GEMM");
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestCyclesOfALane();
  tvm_vsq::TestAPartOfTheCycles();
  tvm_vsq::TestReductionsThatBegin();
  tvm_vsq::TestAnInstructionThatDoesSomethingElse();
  tvm_vsq::TestPostProcessing();
  tvm_vsq::TestWhatIsRefused();
  return tvm_vsq::testing::Result();
}
