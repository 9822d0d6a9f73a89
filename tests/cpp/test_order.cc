// What tokens prove, and races on scratchpads and DRAM.
#include <string>

#include "tests/cpp/programs.h"
#include "tests/cpp/testing.h"
#include "tvm_vsq/sim/dram_order.h"
#include "tvm_vsq/sim/order.h"
#include "tvm_vsq/sim/prepare.h"

namespace tvm_vsq {
namespace {

using testing::Finish;
using testing::Load;
using testing::MakeGemm;
using testing::MakePpu;
using testing::MakeProgram;
using testing::MakeVec;
using testing::Store;
using testing::Sync;

void Check(std::vector<sim::Instruction> instructions) {
  sim::CheckOrder(testing::Small(), MakeProgram(std::move(instructions)));
}

void TestTokensAreTransitive() {
  const sim::Program program =
      MakeProgram({Store(sim::Pad::kOut, 0, 0, 1, "push_compute"), Sync("pop_store push_load"),
                   Load(sim::Pad::kInp, 0, 0, 1, "pop_compute"), Finish()});
  sim::Order order(program);
  for (size_t i = 0; i < 2; ++i) {
    order.Begin(i);
    order.End(i);
  }
  order.Begin(2);
  CHECK_EQ(order.CompleteBefore(sim::Engine::kStore), 1u);  // through compute
  CHECK_EQ(order.CompleteBefore(sim::Engine::kCompute), 2u);
  CHECK_EQ(order.CompleteBefore(sim::Engine::kLoad), 0u);
}

void TestDramRaces() {
  // 4 records of 5 bytes at 0: bytes 0 to 19.
  const auto program = [](uint64_t address, bool ordered) {
    Check({Store(sim::Pad::kOut, 0, 0, 4, "push_load"),
           Load(sim::Pad::kInp, 0, address, 1, ordered ? "pop_store push_store" : "push_store"),
           Finish("pop_load")});
  };
  program(15, true);
  program(20, false);
  CHECK_ERROR(program(15, false),
              "layer 'conv1', instruction 1 (LOAD): race on DRAM byte 15: no token orders it behind "
              "layer 'conv1', instruction 0 (STORE)");
  // A STORE over what an earlier LOAD may still read.
  CHECK_ERROR(Check({Load(sim::Pad::kInp, 0, 0, 4, "push_store"), Store(sim::Pad::kOut, 0, 15, 1),
                     Finish("pop_load")}),
              "instruction 1 (STORE): race on DRAM byte 15");
  Check({Load(sim::Pad::kInp, 0, 0, 4, "push_compute"), Sync("pop_load push_store"),
         Store(sim::Pad::kOut, 0, 15, 1, "pop_compute"), Finish()});
}

// Bytes 200 to 399 and 130 to 229, which begin in different granules.
void TestRacesFarInsideATransfer() {
  CHECK_ERROR(Check({Store(sim::Pad::kOut, 0, 200, 40), Load(sim::Pad::kInp, 0, 130, 20, "push_store"),
                     Finish("pop_load")}),
              "race on DRAM byte 200");
}

// Interleaved rows share every granule and no byte.
void TestStridedNeighboursDoNotRace() {
  const auto strided = [](auto insn, const char* tokens) {
    insn.y_size = 8;
    insn.y_stride = 2;
    return testing::Make(insn, tokens);
  };
  const auto run = [&](uint64_t address) {
    Check({strided(std::get<isa::Store>(Store(sim::Pad::kOut, 0, 0, 1).body), ""),
           strided(std::get<isa::Load>(Load(sim::Pad::kInp, 0, address, 1).body), "push_store"),
           Finish("pop_load")});
  };
  run(5);
  CHECK_ERROR(run(6), "race on DRAM byte 10");
  CHECK_ERROR(run(60), "race on DRAM byte 60");
}

void Prepare(const std::vector<sim::Instruction>& instructions, int64_t lanes = 8) {
  uint64_t bytes = 0;
  sim::Prepare(sim::ParseParams(testing::SmallParams(lanes)), MakeProgram(instructions), "", {}, true,
               &bytes);
}

// Micro-op 0, with these entries of acc.
sim::Instruction Clear(uint32_t entries, const std::string& tokens) {
  sim::Instruction gemm = MakeGemm(true, 1, entries, tokens);
  std::get<isa::Gemm>(gemm.body).acc_out = 1;
  return gemm;
}

sim::Instruction PostProcess(bool wide, uint32_t entry, const std::string& tokens) {
  sim::Instruction instruction = MakePpu(1, tokens);
  auto& ppu = std::get<isa::Ppu>(instruction.body);
  ppu.wide = wide;
  ppu.acc_base = entry;
  return instruction;
}

// GEMM writes entries 0 and 1, a wide PPU entry 1.
void TestTwoEnginesWriteAScratchpad() {
  const auto program = [](std::vector<sim::Instruction> rest) {
    std::vector<sim::Instruction> instructions = {Load(sim::Pad::kUop, 0, 0, 1),
                                                  Load(sim::Pad::kPar, 0, 64, 1, "push_compute"),
                                                  Clear(2, "pop_load push_ppu")};
    instructions.insert(instructions.end(), rest.begin(), rest.end());
    instructions.push_back(Finish());
    Prepare(instructions);
  };
  program({PostProcess(true, 1, "pop_compute push_compute"), Clear(2, "pop_ppu")});
  program({PostProcess(true, 1, "pop_compute"), Clear(1, "")});
  CHECK_ERROR(program({PostProcess(true, 1, "pop_compute"), Clear(2, "")}),
              "instruction 4 (GEMM): race: overwrites entry 1 of scratchpad acc, but no token orders it "
              "behind layer 'conv1', instruction 3 (PPU)");
  // The STORE reads an entry of each.
  const auto read = [&](const char* tokens) {
    program({PostProcess(true, 1, "pop_compute push_store"), Clear(1, "push_store"),
             Store(sim::Pad::kAcc, 0, 4096, 2, tokens)});
  };
  read("pop_compute pop_ppu");
  CHECK_ERROR(read("pop_ppu"),
              "instruction 5 (STORE): race: reads entry 0 of scratchpad acc, but no token orders it behind "
              "layer 'conv1', instruction 4 (GEMM)");
  CHECK_ERROR(read("pop_compute"),
              "instruction 5 (STORE): race: reads entry 1 of scratchpad acc, but no token orders it behind "
              "layer 'conv1', instruction 3 (PPU)");
}

// PPU and STORE read entry 0, which the second GEMM overwrites.
void TestTwoEnginesReadAScratchpad() {
  const auto run = [](const char* tokens) {
    Prepare({Load(sim::Pad::kUop, 0, 0, 1), Load(sim::Pad::kPar, 0, 64, 1, "push_compute"),
             Clear(1, "pop_load push_ppu push_store"), PostProcess(false, 0, "pop_compute push_compute"),
             Store(sim::Pad::kAcc, 0, 4096, 1, "pop_compute push_compute"), Clear(1, tokens), Finish()});
  };
  run("pop_ppu pop_store");
  CHECK_ERROR(run("pop_ppu"),
              "instruction 5 (GEMM): race: overwrites entry 0 of scratchpad acc, but no token orders it "
              "behind layer 'conv1', instruction 4 (STORE)");
  CHECK_ERROR(run("pop_store"), "behind layer 'conv1', instruction 3 (PPU)");
}

// GEMM fills entries 0 and 1 of acc, VEC entry 0.
void TestTwoEnginesFillAScratchpad() {
  const auto run = [](bool vector_first, const std::string& first, const std::string& second) {
    const auto gemm = [](const std::string& tokens) { return Clear(2, "pop_load " + tokens); };
    const auto vec = [](const std::string& tokens) {
      return MakeVec(isa::Vec::Op::kMov, isa::Vec::Src::kImm, 1, 1, "pop_load " + tokens);
    };
    Prepare({Load(sim::Pad::kUop, 0, 0, 1, "push_compute push_vector"),
             vector_first ? vec(first) : gemm(first), vector_first ? gemm(second) : vec(second), Finish()});
  };
  run(false, "push_vector", "pop_compute");
  run(true, "push_compute", "pop_vector");
  CHECK_ERROR(run(false, "", ""),
              "instruction 2 (VEC): race: overwrites entry 0 of scratchpad acc, but no token orders it "
              "behind layer 'conv1', instruction 1 (GEMM)");
  CHECK_ERROR(run(true, "", ""),
              "instruction 2 (GEMM): race: overwrites entry 0 of scratchpad acc, but no token orders it "
              "behind layer 'conv1', instruction 1 (VEC)");
}

// A channel group of two entries, which VEC compares with a vector; the PPU takes the second one.
void TestEveryAccumulatorEntryOfAVecIsOrdered() {
  const auto run = [](uint32_t cleared, const std::string& compute, const std::string& ppu) {
    Prepare({Load(sim::Pad::kUop, 0, 0, 1, "push_compute"), Load(sim::Pad::kInp, 0, 64, 1),
             Load(sim::Pad::kPar, 0, 256, 1, "push_vector push_ppu"), Clear(cleared, "pop_load push_vector"),
             MakeVec(isa::Vec::Op::kMax, isa::Vec::Src::kInp, 1, 1, "pop_load push_ppu" + compute),
             PostProcess(true, 1, ppu), Finish()},
            4);
  };
  run(2, " pop_compute", "pop_vector");
  CHECK_ERROR(run(2, "", "pop_vector"),
              "instruction 4 (VEC): race: reads entry 0 of scratchpad acc, but no token orders it behind "
              "layer 'conv1', instruction 3 (GEMM)");
  CHECK_ERROR(run(1, " pop_compute", "pop_vector"),
              "instruction 4 (VEC): reads entry 1 of scratchpad acc, which nothing has written");
  CHECK_ERROR(run(2, " pop_compute", "pop_load"),
              "instruction 5 (PPU): race: reads entry 1 of scratchpad acc, but no token orders it behind "
              "layer 'conv1', instruction 4 (VEC)");
}

// A channel group of two vectors: the second must be there, and must stay until VEC is done.
void TestEveryVectorOfAVecIsOrdered() {
  const auto run = [](uint32_t entry, const std::string& first, const std::string& second,
                      const std::string& again) {
    Prepare({Load(sim::Pad::kUop, 0, 0, 1), Load(sim::Pad::kInp, 0, 64, 1, first),
             Load(sim::Pad::kInp, entry, 69, 1, second),
             MakeVec(isa::Vec::Op::kMov, isa::Vec::Src::kInp, 1, 1, "pop_load push_load"),
             Load(sim::Pad::kInp, 1, 64, 1, again), Finish()},
            16);
  };
  run(1, "", "push_vector", "pop_vector");
  CHECK_ERROR(run(1, "push_vector", "", "pop_vector"),
              "instruction 3 (VEC): race: reads entry 1 of scratchpad inp, but no token orders it behind "
              "layer 'conv1', instruction 2 (LOAD)");
  CHECK_ERROR(run(2, "", "push_vector", "pop_vector"),
              "instruction 3 (VEC): reads entry 1 of scratchpad inp, which nothing has written");
  CHECK_ERROR(
      run(1, "", "push_vector", ""),
      "instruction 4 (LOAD): race: overwrites entry 1 of scratchpad inp, but no token orders it behind "
      "layer 'conv1', instruction 3 (VEC)");
}

// No instruction writes DRAM from the engine of LOADs: the proof is given such a transfer by hand, and a
// STORE that waits for it if they are ordered.
void TestTwoEnginesWriteDram() {
  const auto run = [](bool ordered, uint64_t address) {
    const sim::Program program =
        MakeProgram({Load(sim::Pad::kInp, 0, 0, 1, ordered ? "push_store" : ""),
                     Store(sim::Pad::kOut, 0, 0, 1, ordered ? "pop_load" : ""), Finish()});
    const sim::Params params = testing::Small();
    sim::Order order(program);
    sim::DramOrder dram(params, program);
    for (size_t i = 0; i < 2; ++i) {
      order.Begin(i);
      dram.Visit(order, i, {sim::Pad::kOut, true, i == 0 ? 0 : address, 4, 1, 1, 0, 0});
      order.End(i);
    }
  };
  run(true, 19);
  run(false, 20);
  CHECK_ERROR(run(false, 19),
              "instruction 1 (STORE): race on DRAM byte 19: no token orders it behind layer "
              "'conv1', instruction 0 (LOAD)");
}

void TestEnds() {
  CHECK_ERROR(Check({Sync("pop_load"), Load(sim::Pad::kInp, 0, 0, 1, "push_compute"), Finish()}),
              "instruction 0 (SYNC): pops a token from load that no earlier instruction pushes");
  Check({Store(sim::Pad::kOut, 0, 0, 1), Finish()});  // in the order of their engine
  CHECK_ERROR(Check({Load(sim::Pad::kInp, 0, 0, 1), Finish()}),
              "no token makes FINISH wait for layer 'conv1', instruction 0 (LOAD)");
  CHECK_ERROR(Check({MakePpu(1), Finish()}),
              "no token makes FINISH wait for layer 'conv1', instruction 0 (PPU)");
  CHECK_ERROR(Check({MakeGemm(true, 1, 1, "push_ppu"), MakePpu(1), Finish()}),
              "no token makes FINISH wait for layer 'conv1', instruction 0 (GEMM)");
  Check({MakeGemm(true, 1, 1, "push_ppu"), MakePpu(1, "pop_compute push_store"), Finish("pop_ppu")});
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestTokensAreTransitive();
  tvm_vsq::TestDramRaces();
  tvm_vsq::TestRacesFarInsideATransfer();
  tvm_vsq::TestStridedNeighboursDoNotRace();
  tvm_vsq::TestTwoEnginesWriteAScratchpad();
  tvm_vsq::TestTwoEnginesReadAScratchpad();
  tvm_vsq::TestTwoEnginesFillAScratchpad();
  tvm_vsq::TestEveryAccumulatorEntryOfAVecIsOrdered();
  tvm_vsq::TestEveryVectorOfAVecIsOrdered();
  tvm_vsq::TestTwoEnginesWriteDram();
  tvm_vsq::TestEnds();
  return tvm_vsq::testing::Result();
}
