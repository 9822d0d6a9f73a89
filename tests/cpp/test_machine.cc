// Whole programs on the functional machine: padded LOAD, strided STORE, overflow.
#include "tests/cpp/programs.h"
#include "tests/cpp/testing.h"
#include "tvm_vsq/sim/machine.h"

namespace tvm_vsq {
namespace {

using testing::Finish;
using testing::Load;
using testing::MakeGemm;
using testing::MakePpu;
using testing::MakeProgram;
using testing::Store;

// Input records at 0 (all elements 1, scale 2), weights at 1024 (all elements 1, scale 3), micro-op 0 and 1
// at 2048 (0, 0, 0) and (1, 1, 0), parameters at 3072: y = acc.
std::vector<uint8_t> Image() {
  std::vector<uint8_t> dram(65536, 0);
  for (size_t record = 0; record < 8; ++record) {
    for (size_t i = 0; i < 4; ++i) dram[5 * record + i] = 0x11;
    dram[5 * record + 4] = 2;
  }
  for (size_t lane = 0; lane < 8; ++lane) {
    for (size_t nibble = 0; nibble < 9; ++nibble) {
      const size_t at = 9 * lane + nibble;
      dram[1024 + at / 2] |= static_cast<uint8_t>((nibble == 8 ? 3 : 1) << (at % 2 * 4));
    }
    dram[3072 + 11 * lane] = 1;
    dram[3072 + 11 * lane + 10] = 0x7f;
  }
  dram[2048 + 3] = 0x41;  // acc 1, inp 1: 6 bits each
  return dram;
}

std::vector<sim::Instruction> Loads() {
  return {Load(sim::Pad::kUop, 0, 2048, 2), Load(sim::Pad::kWgt, 0, 1024, 1),
          Load(sim::Pad::kPar, 0, 3072, 1)};
}

std::vector<uint8_t> Run(std::vector<sim::Instruction> instructions) {
  std::vector<uint8_t> dram = Image();
  const sim::Params params = testing::Small();
  const sim::Program program = MakeProgram(std::move(instructions));
  uint64_t bytes = 0;
  const sim::PreparedProgram prepared =
      sim::Prepare(params, program, std::string(dram.begin(), dram.end()), {}, true, &bytes);
  sim::Machine(params).Run(program, prepared, 2, &dram);
  return dram;
}

void TestLayer() {
  std::vector<sim::Instruction> program = Loads();
  program.push_back(Load(sim::Pad::kInp, 0, 0, 2, "push_compute"));
  program.push_back(MakeGemm(true, 2, 1, "pop_load"));
  program.push_back(MakeGemm(false, 2, 1, "push_ppu"));
  program.push_back(MakePpu(2, "pop_compute push_store"));
  program.push_back(Store(sim::Pad::kOut, 0, 4096, 1, "pop_ppu"));
  auto& store = std::get<isa::Store>(program.back().body);
  store.y_size = 2;
  store.y_stride = 3;
  program.push_back(Finish());
  const std::vector<uint8_t> dram = Run(program);
  // acc = 8 * (2 * 3) = 48; scale = ceil(48 / 28) = 2, element = rhu(48 / 8) = 6.
  for (const size_t at : {4096, 4096 + 15}) {
    for (size_t i = 0; i < 4; ++i) CHECK_EQ(int{dram[at + i]}, 0x66);
    CHECK_EQ(int{dram[at + 4]}, 2);
  }
  CHECK_EQ(int{dram[4096 + 5]}, 0);
  CHECK_EQ(int{dram[4096 + 14]}, 0);
}

void TestPaddedLoadWritesZeros() {
  std::vector<sim::Instruction> program = Loads();
  program.push_back(Load(sim::Pad::kInp, 0, 0, 1, "push_compute"));
  std::get<isa::Load>(program.back().body).y_pad_top = 1;  // entry 0 is border, entry 1 is data
  program.push_back(MakeGemm(true, 2, 1, "pop_load"));
  program.push_back(MakeGemm(false, 2, 1, "push_ppu"));
  program.push_back(MakePpu(2, "pop_compute push_store"));
  std::get<isa::Ppu>(program.back().body).wide = true;
  program.push_back(Store(sim::Pad::kAcc, 0, 4096, 2, "pop_ppu"));
  program.push_back(Finish());
  const std::vector<uint8_t> dram = Run(program);
  CHECK_EQ(int{dram[4096]}, 0);
  CHECK_EQ(int{dram[4096 + 32]}, 48);
}

void TestOverflow() {
  // 24 bits hold 8388607 = 174762 times 48.
  std::vector<sim::Instruction> program = Loads();
  program.push_back(Load(sim::Pad::kInp, 0, 0, 1, "push_compute"));
  program.push_back(MakeGemm(true, 1, 1, "pop_load"));
  program.push_back(MakeGemm(false, 1, 174762));
  program.push_back(Finish());
  Run(program);
  program.insert(program.end() - 1, MakeGemm(false, 1, 1));
  CHECK_ERROR(Run(program),
              "instruction 6 (GEMM): accumulator overflow: micro-op 0 at outer iteration 0, inner 0 brings "
              "acc entry 0 outside 24 bits");
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestLayer();
  tvm_vsq::TestPaddedLoadWritesZeros();
  tvm_vsq::TestOverflow();
  return tvm_vsq::testing::Result();
}
