// What tokens prove, and races on scratchpads and DRAM.
#include <string>

#include "tests/cpp/programs.h"
#include "tests/cpp/testing.h"
#include "tvm_vsq/sim/dram_order.h"
#include "tvm_vsq/sim/order.h"
#include "tvm_vsq/sim/shadow.h"

namespace tvm_vsq {
namespace {

using testing::Finish;
using testing::Load;
using testing::MakeProgram;
using testing::Store;
using testing::Sync;

void Check(std::vector<sim::Instruction> instructions) {
  sim::CheckOrder(testing::Small(), MakeProgram(std::move(instructions)));
}

void TestTokensAreTransitive() {
  const sim::Program program = MakeProgram(
      {Store(sim::Pad::kOut, 0, 0, 1, "P"), Sync("nP"), Load(sim::Pad::kInp, 0, 0, 1, "n"), Finish()});
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
    Check({Store(sim::Pad::kOut, 0, 0, 4, "P"), Sync(ordered ? "nP" : "n"),
           Load(sim::Pad::kInp, 0, address, 1, ordered ? "nN" : "N"), Finish("p")});
  };
  program(15, true);
  program(20, false);
  CHECK_ERROR(program(15, false),
              "layer 'conv1', instruction 2 (LOAD): race on DRAM byte 15: no token orders it behind "
              "layer 'conv1', instruction 0 (STORE)");
  // A STORE over what an earlier LOAD may still read.
  CHECK_ERROR(Check({Load(sim::Pad::kInp, 0, 0, 4, "N"), Store(sim::Pad::kOut, 0, 15, 1, "P"), Finish("pn")}),
              "instruction 1 (STORE): race on DRAM byte 15");
  Check({Load(sim::Pad::kInp, 0, 0, 4, "N"), Sync("pN"), Store(sim::Pad::kOut, 0, 15, 1, "pP"), Finish("n")});
}

// Bytes 0 to 199 and 130 to 229.
void TestRacesFarInsideATransfer() {
  CHECK_ERROR(Check({Store(sim::Pad::kOut, 0, 0, 40, "P"), Sync("n"), Load(sim::Pad::kInp, 0, 130, 20, "N"),
                     Finish("p")}),
              "race on DRAM byte 130");
}

// Interleaved rows share every granule and no byte.
void TestStridedNeighboursDoNotRace() {
  const auto strided = [](auto insn, const char* tokens) {
    insn.y_size = 8;
    insn.y_stride = 2;
    return testing::Make(insn, tokens);
  };
  const auto run = [&](uint64_t address) {
    Check({strided(std::get<isa::Store>(Store(sim::Pad::kOut, 0, 0, 1).body), "P"),
           strided(std::get<isa::Load>(Load(sim::Pad::kInp, 0, address, 1).body), "N"), Finish("pn")});
  };
  run(5);
  CHECK_ERROR(run(6), "race on DRAM byte 10");
  CHECK_ERROR(run(60), "race on DRAM byte 60");
}

// No instruction so far writes what another engine writes, or DRAM from the engine of LOADs. The proof is
// given such accesses by hand, for the engines of a LOAD, a SYNC and a STORE, of which each waits for the one
// before if its token is there.
template <typename Visit>
void Chain(bool first, bool second, Visit visit) {
  const sim::Program program = MakeProgram({Load(sim::Pad::kInp, 0, 0, 1, first ? "N" : ""),
                                            Sync(std::string(first ? "p" : "") + (second ? "N" : "")),
                                            Store(sim::Pad::kOut, 0, 0, 1, second ? "p" : ""), Finish()});
  sim::Order order(program);
  sim::Shadow shadow(testing::Small(), program);
  sim::DramOrder dram(testing::Small(), program);
  for (size_t i = 0; i < 3; ++i) {
    order.Begin(i);
    visit(i, order, &shadow, &dram);
    order.End(i);
  }
}

void TestTwoEnginesWriteAScratchpad() {
  const auto write = [](bool ordered) {
    Chain(ordered, false, [](size_t i, const sim::Order& order, sim::Shadow* shadow, sim::DramOrder*) {
      if (i < 2) shadow->Write(order, i, sim::Pad::kAcc, 3 + i, 2);  // both entry 4
    });
  };
  write(true);
  CHECK_ERROR(write(false),
              "instruction 1 (SYNC): race: overwrites entry 4 of scratchpad acc, but no token orders it "
              "behind layer 'conv1', instruction 0 (LOAD)");
  // The STORE reads an entry of each.
  const auto read = [](bool first, bool second) {
    Chain(first, second, [](size_t i, const sim::Order& order, sim::Shadow* shadow, sim::DramOrder*) {
      i < 2 ? shadow->Write(order, i, sim::Pad::kAcc, 4 * i, 4 + i)
            : shadow->Read(order, i, sim::Pad::kAcc, 3, 2);
    });
  };
  read(true, true);
  CHECK_ERROR(read(false, true), "instruction 2 (STORE): race: reads entry 3 of scratchpad acc");
  CHECK_ERROR(read(true, false), "instruction 2 (STORE): race: reads entry 3 of scratchpad acc");
}

void TestTwoEnginesReadAScratchpad() {
  const auto run = [](bool first, bool second) {
    Chain(first, second, [](size_t i, const sim::Order& order, sim::Shadow* shadow, sim::DramOrder*) {
      if (i == 0) shadow->Write(order, i, sim::Pad::kInp, 0, 4);
      if (i < 2) shadow->Read(order, i, sim::Pad::kInp, 2, 1);
      if (i == 2) shadow->Write(order, i, sim::Pad::kInp, 2, 2);
    });
  };
  run(true, true);
  CHECK_ERROR(run(true, false), "instruction 2 (STORE): race: overwrites entry 2 of scratchpad inp");
  CHECK_ERROR(run(false, true), "instruction 1 (SYNC): race: reads entry 2 of scratchpad inp");
}

void TestTwoEnginesWriteDram() {
  const auto run = [](bool ordered, uint64_t address) {
    const sim::Transfer first{sim::Pad::kOut, true, 0, 4, 1, 1, 0, 0};
    sim::Transfer second = first;
    second.dram_base = address;
    Chain(ordered, ordered, [&](size_t i, const sim::Order& order, sim::Shadow*, sim::DramOrder* dram) {
      if (i != 1) dram->Visit(order, i, i == 0 ? first : second);
    });
  };
  run(true, 19);
  run(false, 20);
  CHECK_ERROR(run(false, 19),
              "instruction 2 (STORE): race on DRAM byte 19: no token orders it behind layer "
              "'conv1', instruction 0 (LOAD)");
}

void TestEnds() {
  CHECK_ERROR(Check({Sync("p"), Load(sim::Pad::kInp, 0, 0, 1, "N"), Finish()}),
              "instruction 0 (SYNC): pops a token from load that no earlier instruction pushes");
  CHECK_ERROR(Check({Load(sim::Pad::kInp, 0, 0, 1), Finish()}),
              "no token makes FINISH wait for layer 'conv1', instruction 0 (LOAD)");
  CHECK_ERROR(Check({Store(sim::Pad::kOut, 0, 0, 1), Finish()}),
              "no token makes FINISH wait for layer 'conv1', "
              "instruction 0 (STORE)");
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
  tvm_vsq::TestTwoEnginesWriteDram();
  tvm_vsq::TestEnds();
  return tvm_vsq::testing::Result();
}
