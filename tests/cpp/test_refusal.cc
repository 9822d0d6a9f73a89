// Parameters and instructions that are refused before anything runs.
#include "tests/cpp/programs.h"
#include "tests/cpp/testing.h"
#include "tvm_vsq/sim/check.h"

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

void Check(const sim::Instruction& instruction) {
  sim::CheckProgram(testing::Small(), MakeProgram({instruction, Finish()}));
}

void TestParams() {
  testing::Small("accumulator_bits", 46);
  CHECK_ERROR(testing::Small("accumulator_bits", 47), "accumulator_bits is 47, allowed are 16 to 46");
  CHECK_ERROR(testing::Small("vector_size", 24), "vector_size must be 8, 16, 32 or 64");
  CHECK_ERROR(testing::Small("wgt_record_bytes", 35), "wgt_record_bytes is 35, but its 288 bits need 36");
  CHECK_ERROR(testing::Small("colour", 1), "unknown hardware parameter colour");
  std::map<std::string, int64_t> params = testing::SmallParams();
  params.erase("max_cycles");
  CHECK_EQ(sim::ParseParams(params).max_cycles, int64_t{1} << 36);
  params.erase("fetch_cycles");
  CHECK_ERROR(sim::ParseParams(params), "fetch_cycles is missing");
}

void TestTransfers() {
  Check(Load(sim::Pad::kInp, 0, 0, 64));
  CHECK_ERROR(Check(Load(sim::Pad::kInp, 1, 0, 64)),
              "sram_base 1 + 64 entries exceeds the 64 entries of scratchpad inp");
  Check(Load(sim::Pad::kInp, 0, 65531, 1));
  CHECK_ERROR(Check(Load(sim::Pad::kInp, 0, 65532, 1)), "ends at byte 65537 of 65536");
  CHECK_ERROR(Check(Load(sim::Pad::kInp, 0, 65527, 2)), "ends at byte 65537 of 65536");
  CHECK_ERROR(Check(Load(sim::Pad::kInp, 0, 0, 0)), "z_size is 0");
  CHECK_ERROR(Check(Load(sim::Pad::kInp, 0, 0, 1, "pop_load")),
              "field pop_load is set, but load has no queue to or from load");
  CHECK_ERROR(Check(Store(sim::Pad::kOut, 0, 0, 1, "push_store")),
              "field push_store is set, but store has no queue to or from store");
  sim::Instruction border = Load(sim::Pad::kInp, 0, 65535, 2);
  auto& dma = std::get<isa::Load>(border.body);
  dma.x_size = 0;
  CHECK_ERROR(Check(border), "transfer nothing");
  dma.x_pad_left = 15;
  dma.y_size = 0;
  dma.y_pad_bottom = 2;
  Check(border);  // 60 entries, and no DRAM
  dma.y_pad_bottom = 3;
  CHECK_ERROR(Check(border), "sram_base 0 + 90 entries");
  sim::Instruction huge = Store(sim::Pad::kAcc, 0, 65535, 1);
  auto& store = std::get<isa::Store>(huge.body);
  store.y_size = 60;
  store.y_stride = 65535;
  CHECK_ERROR(Check(huge), "ends at byte 123795647 of 65536");
}

void TestCompute() {
  Check(MakeGemm(false, 64, 1023));
  CHECK_ERROR(Check(MakeGemm(false, 65, 1)), "uop_begin 0 + 65 entries");
  CHECK_ERROR(Check(MakeGemm(false, 0, 1)), "uop_count is 0");
  CHECK_ERROR(Check(MakeGemm(false, 1, 0)), "iter_out is 0");
  sim::Instruction fresh = MakeGemm(false, 3, 1);
  auto& gemm = std::get<isa::Gemm>(fresh.body);
  gemm.fresh_uops = 3;
  Check(fresh);
  gemm.fresh_uops = 4;
  CHECK_ERROR(Check(fresh), "field fresh_uops is 4, must be at most uop_count, 3");
  gemm.fresh_uops = 1;
  gemm.fresh_uops = 3;
  gemm.shift = 16;
  Check(fresh);
  gemm.shift = 17;
  CHECK_ERROR(Check(fresh), "field shift is 17, must be at most 16");
  gemm.shift = 0;
  gemm.fresh_uops = 1;
  gemm.reset = true;
  CHECK_ERROR(Check(fresh), "field fresh_uops is 1, must be 0 with reset");
  Check(MakePpu(64));
  CHECK_ERROR(Check(MakePpu(65)), "acc_base 0 + 65 entries");
  sim::Instruction ppu = MakePpu(1);
  std::get<isa::Ppu>(ppu.body).blocks = 9;
  CHECK_ERROR(Check(ppu), "par_base 0 + 9 entries exceeds the 8");
}

void TestVector() {
  using isa::Vec;
  Check(MakeVec(Vec::Op::kMax, Vec::Src::kInp, 64, 1023));
  CHECK_ERROR(Check(MakeVec(Vec::Op::kMax, Vec::Src::kInp, 65, 1)), "uop_begin 0 + 65 entries");
  CHECK_ERROR(Check(MakeVec(Vec::Op::kMov, Vec::Src::kImm, 0, 1)), "uop_count is 0");
  CHECK_ERROR(Check(MakeVec(Vec::Op::kMov, Vec::Src::kImm, 1, 0)), "iter_out is 0");
  CHECK_ERROR(Check(MakeVec(Vec::Op{9}, Vec::Src::kInp, 1, 1)), "field op is 9, must be at most 8");
  CHECK_ERROR(Check(MakeVec(Vec::Op::kMov, Vec::Src{3}, 1, 1)), "field src is 3, must be at most 2");
  const auto immediate = [](Vec::Src src, int64_t imm) {
    sim::Instruction instruction = MakeVec(Vec::Op::kMax, src, 1, 1);
    std::get<Vec>(instruction.body).imm = static_cast<uint32_t>(imm);
    Check(instruction);
  };
  immediate(Vec::Src::kImm, 8388607);
  immediate(Vec::Src::kImm, -8388608);
  CHECK_ERROR(immediate(Vec::Src::kImm, 8388608), "imm is 8388608, which does not fit accumulator_bits 24");
  CHECK_ERROR(immediate(Vec::Src::kImm, -8388609), "imm is -8388609, which does not fit accumulator_bits 24");
  immediate(Vec::Src::kInp, 8388608);
  // Elements are at least -8, scales at most 15: 8388600 is 69905 times 120.
  const auto coefficient = [](Vec::Src src, int64_t imm) {
    sim::Instruction instruction = MakeVec(Vec::Op::kMac, src, 1, 1);
    std::get<Vec>(instruction.body).imm = static_cast<uint32_t>(imm);
    Check(instruction);
  };
  coefficient(Vec::Src::kInp, 69905);
  coefficient(Vec::Src::kInp, -69905);
  CHECK_ERROR(coefficient(Vec::Src::kInp, 69906),
              "field imm is 69906: times an element times its scale it can be 8388720, which does not fit "
              "accumulator_bits 24");
  CHECK_ERROR(coefficient(Vec::Src::kInp, -69906), "field imm is -69906: times");
  // A factor may be larger than an accumulator.
  const auto factor = [](int64_t imm, uint32_t shift) {
    sim::Instruction instruction = MakeVec(Vec::Op::kMul, Vec::Src::kImm, 1, 1);
    std::get<Vec>(instruction.body).imm = static_cast<uint32_t>(imm);
    std::get<Vec>(instruction.body).shift = shift;
    Check(instruction);
  };
  factor(8388608, 62);
  const auto table = [](Vec::Src src, int64_t par_depth) {
    const sim::Params params = testing::Small("par_depth", par_depth);
    sim::CheckProgram(params, MakeProgram({MakeVec(Vec::Op::kTable, src, 1, 1), Finish()}));
  };
  table(Vec::Src::kImm, 16);
  CHECK_ERROR(table(Vec::Src::kImm, 15), "tab_base 0 + 16 entries exceeds the 15 entries of scratchpad par");
  CHECK_ERROR(table(Vec::Src::kInp, 16),
              "field src is inp, must be imm or acc with table, sub and scale, which read none");
  CHECK_ERROR(Check(MakeVec(Vec::Op::kSub, Vec::Src::kInp, 1, 1)), "field src is inp, must be imm or acc");
  CHECK_ERROR(Check(MakeVec(Vec::Op::kScale, Vec::Src::kInp, 1, 1)), "field src is inp, must be imm or acc");
  for (const Vec::Op op : {Vec::Op::kMac, Vec::Op::kMul})
    CHECK_ERROR(Check(MakeVec(op, Vec::Src::kAcc, 1, 1)), "field src is acc, must be inp with mac");
  for (const Vec::Op op : {Vec::Op::kMov, Vec::Op::kMax, Vec::Op::kMin, Vec::Op::kAdd, Vec::Op::kSub})
    Check(MakeVec(op, Vec::Src::kAcc, 64, 1023));
  const auto scale = [](int64_t imm) {
    sim::Instruction instruction = MakeVec(Vec::Op::kScale, Vec::Src::kImm, 1, 1);
    std::get<Vec>(instruction.body).imm = static_cast<uint32_t>(imm);
    Check(instruction);
  };
  scale(65535 | 62 << 16);
  CHECK_ERROR(scale(5 | 63 << 16), "field imm is 4128773, a factor with a shift of 63, must be at most 62");
  CHECK_ERROR(factor(1, 63), "field shift is 63, must be at most 62");
  CHECK_ERROR(coefficient(Vec::Src::kImm, 1),
              "field src is imm, must be inp with mac, which multiplies by imm");
}

void TestRows() {
  const auto check = [](uint32_t entries, uint32_t last_lanes, bool looks_up = false, int64_t lanes = 8) {
    std::map<std::string, int64_t> values = testing::SmallParams(lanes);
    sim::Instruction instruction = testing::MakeReduce(isa::Reduce::Op::kMax, 1, 1, entries);
    auto& reduce = std::get<isa::Reduce>(instruction.body);
    reduce.last_lanes = last_lanes;
    if (looks_up) reduce.to = isa::Reduce::To::kRsqrt;
    sim::CheckProgram(sim::ParseParams(values), MakeProgram({instruction, Finish()}));
  };
  check(1023, 8);
  check(1, 1);
  CHECK_ERROR(check(1, 0), "field last_lanes is 0, must be at least 1");
  CHECK_ERROR(check(1, 9), "field last_lanes is 9, must be at most output_lanes, 8");
  CHECK_ERROR(check(0, 8), "field iter_in is 0, must be at least 1");
  check(512, 8, false, 32);
  CHECK_ERROR(check(513, 8, false, 32),
              "field iter_in is 513: a row of 16416 lanes, at most 16384 are allowed");
  CHECK_ERROR(check(1, 8, true), "tab_base 0 + 16 entries exceeds the 8 entries of scratchpad par");
}

// 16 bits hold 32767: 32 * 1023 and 31 * 1023 fit, 63 * 1023 do not.
void TestElementsThatOverflow() {
  const auto check = [](int64_t bits, bool is_unsigned) {
    std::map<std::string, int64_t> values = testing::SmallParams();
    values["activation_bits"] = bits;
    values["activation_scale_bits"] = 10;
    values["inp_record_bytes"] = values["out_record_bytes"] = (8 * bits + 10 + 7) / 8;
    values["product_bits"] = 14;
    values["accumulator_bits"] = 16;
    sim::Instruction instruction = MakeVec(isa::Vec::Op::kMov, isa::Vec::Src::kInp, 1, 1);
    std::get<isa::Vec>(instruction.body).src_unsigned = is_unsigned;
    sim::CheckProgram(sim::ParseParams(values), MakeProgram({instruction, Finish()}));
  };
  check(5, true);
  check(6, false);
  CHECK_ERROR(check(6, true),
              "instruction 0 (VEC): field src: an element times its scale can be 64449, which does not fit "
              "accumulator_bits 16");
  CHECK_ERROR(check(7, false), "can be 65472");
}

// Two lanes' blocks of 4 make a vector of 8, in out and in the residual; three make two.
void TestPostProcessing() {
  const auto check = [](bool wide, bool residual, uint32_t blocks, uint32_t res_base, uint32_t res_shift) {
    sim::Instruction instruction = MakePpu(4);
    auto& ppu = std::get<isa::Ppu>(instruction.body);
    ppu.wide = wide;
    ppu.residual = residual;
    ppu.blocks = blocks;
    ppu.res_base = res_base;
    ppu.res_shift = res_shift;
    sim::CheckProgram(sim::ParseParams(testing::SmallParams(4)), MakeProgram({instruction, Finish()}));
  };
  check(false, true, 2, 60, 62);
  check(true, false, 1, 99, 63);
  CHECK_ERROR(check(false, true, 2, 61, 62), "res_base 61 + 4 entries exceeds the 64");
  CHECK_ERROR(check(false, true, 2, 60, 63), "res_shift is 63, must be at most 62");
  check(false, true, 3, 56, 62);
  CHECK_ERROR(check(false, true, 3, 57, 62), "res_base 57 + 8 entries exceeds the 64");
}

// Where a block has several vectors, all but one may be left out.
void TestSkippedVectors() {
  const auto check = [](int64_t lanes, uint32_t skipped) {
    sim::Instruction instruction = MakePpu(1);
    std::get<isa::Ppu>(instruction.body).skip_vectors = skipped;
    sim::CheckProgram(sim::ParseParams(testing::SmallParams(lanes)), MakeProgram({instruction, Finish()}));
  };
  check(32, 3);
  CHECK_ERROR(check(32, 4), "field skip_vectors is 4 of the 4 vectors of the last block");
  CHECK_ERROR(check(8, 1), "field skip_vectors is 1 of the 1 vectors of the last block");
}

// Of a vector of 8 and blocks of 4 lanes, one of two blocks may be left out.
void TestSkippedBlocks() {
  const auto check = [](uint32_t skipped) {
    sim::Instruction instruction = MakeVec(isa::Vec::Op::kMov, isa::Vec::Src::kImm, 1, 1);
    std::get<isa::Vec>(instruction.body).skip_blocks = skipped;
    sim::CheckProgram(sim::ParseParams(testing::SmallParams(4)), MakeProgram({instruction, Finish()}));
  };
  check(1);
  CHECK_ERROR(check(2), "field skip_blocks is 2 of the 2 blocks of a channel group");
}

void TestFinish() {
  CHECK_ERROR(sim::CheckProgram(testing::Small(), MakeProgram({})), "has no FINISH");
  CHECK_ERROR(sim::CheckProgram(testing::Small(), MakeProgram({Sync()})), "has no FINISH");
  CHECK_ERROR(sim::CheckProgram(testing::Small(), MakeProgram({Finish(), Finish()})),
              "instruction 0 (FINISH): FINISH must be the last of the 2 instructions");
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestParams();
  tvm_vsq::TestTransfers();
  tvm_vsq::TestCompute();
  tvm_vsq::TestVector();
  tvm_vsq::TestRows();
  tvm_vsq::TestElementsThatOverflow();
  tvm_vsq::TestPostProcessing();
  tvm_vsq::TestSkippedVectors();
  tvm_vsq::TestSkippedBlocks();
  tvm_vsq::TestFinish();
  return tvm_vsq::testing::Result();
}
