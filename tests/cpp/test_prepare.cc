// What is known of a program when it is loaded: constants, micro-ops, races, overflow.
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/cpp/programs.h"
#include "tests/cpp/testing.h"
#include "tvm_vsq/sim/declarations.h"
#include "tvm_vsq/sim/gemm_plan.h"
#include "tvm_vsq/sim/limits.h"
#include "tvm_vsq/sim/prepare.h"
#include "tvm_vsq/sim/weight_range.h"

namespace tvm_vsq {
namespace {

using testing::Finish;
using testing::Load;
using testing::MakeGemm;
using testing::MakePpu;
using testing::MakeProgram;
using testing::Store;

sim::PreparedProgram Prepare(const std::vector<sim::Instruction>& instructions, const std::string& image = "",
                             const std::vector<sim::ByteRange>& inputs = {}, bool verify = false,
                             uint64_t bytes = 0) {
  return sim::Prepare(testing::Small(), MakeProgram(instructions), image, inputs, verify, &bytes);
}

void TestWrittenBytes() {
  // Records of out have 5 bytes: 20 to 29 and 30 to 34 touch, 50 to 54 do not.
  sim::Instruction strided = Store(sim::Pad::kOut, 0, 30, 1);
  std::get<isa::Store>(strided.body).y_size = 2;
  std::get<isa::Store>(strided.body).y_stride = 4;
  const sim::Program program = MakeProgram({strided, Store(sim::Pad::kOut, 0, 20, 2), Finish()});
  const sim::Params params = testing::Small();
  const sim::WrittenBytes written(params, program, {{54, 60}});
  CHECK_EQ(written.ranges().size(), 2u);
  CHECK_EQ(written.ranges()[0].begin, 20u);
  CHECK_EQ(written.ranges()[0].end, 35u);
  CHECK_EQ(written.ranges()[1].begin, 50u);
  CHECK_EQ(written.ranges()[1].end, 60u);
  const auto first = [&](uint64_t address, uint32_t entries) {
    return written.FirstReadBy(*sim::TransferOf(Load(sim::Pad::kInp, 0, address, entries)));
  };
  CHECK_EQ(first(15, 1), -1);
  CHECK_EQ(first(16, 1), 20);
  CHECK_EQ(first(25, 1), 25);
  CHECK_EQ(first(35, 3), -1);
  CHECK_EQ(first(35, 4), 50);
  CHECK_EQ(first(60, 9), -1);
}

// 100 to 199, in which 110 to 114 and an input lie, and behind them 200 to 204.
void TestWrittenBytesWithinOthers() {
  const sim::Program program =
      MakeProgram({Store(sim::Pad::kOut, 0, 110, 1), Store(sim::Pad::kOut, 0, 100, 20),
                   Store(sim::Pad::kOut, 0, 200, 1), Finish()});
  const sim::Params params = testing::Small();
  const sim::WrittenBytes written(params, program, {{120, 130}, {100, 101}});
  CHECK_EQ(written.ranges().size(), 1u);
  CHECK_EQ(written.ranges()[0].begin, 100u);
  CHECK_EQ(written.ranges()[0].end, 205u);
  const auto first = [&](uint64_t address) {
    return written.FirstReadBy(*sim::TransferOf(Load(sim::Pad::kInp, 0, address, 1)));
  };
  CHECK_EQ(first(140), 140);
  CHECK_EQ(first(195), 195);
}

// 64 records that do not touch, by each of 16385 STOREs behind each other.
void TestTooManyWrittenRanges() {
  std::vector<sim::Instruction> instructions;
  for (uint64_t i = 0; i < 16385; ++i) {
    sim::Instruction store = Store(sim::Pad::kOut, 0, 640 * i, 1);
    auto& dma = std::get<isa::Store>(store.body);
    dma.y_size = 64;
    dma.y_stride = 2;
    instructions.push_back(store);
  }
  const sim::Program program = MakeProgram(instructions);
  CHECK_ERROR(sim::WrittenBytes(testing::Small(), program, {}),
              "STOREs and inputs write 1048640 separate ranges of DRAM, at most 1048576 are allowed");
}

void TestTooManyPlans() {
  const std::vector<sim::Instruction> program{Load(sim::Pad::kUop, 0, 0, 1), MakeGemm(true, 1, 1), Finish()};
  Prepare(program, "", {}, false, sim::kMaxPreparedBytes - 1000);
  CHECK_ERROR(Prepare(program, "", {}, false, sim::kMaxPreparedBytes - 10),
              "instruction 1 (GEMM): GEMM instructions differ so much that preparing them takes more than "
              "536870912 bytes; this one is number 1");
}

// What is no good as tiles is not kept.
void TestDroppedTilesTakeNoMemory() {
  sim::Instruction instruction = MakeGemm(false, 1, 1000);
  auto& gemm = std::get<isa::Gemm>(instruction.body);
  gemm.iter_in = 1000;
  gemm.acc_in = gemm.acc_out = gemm.wgt_in = gemm.wgt_out = 1;
  std::map<std::string, int64_t> values = testing::SmallParams();
  values["acc_depth"] = values["wgt_depth"] = 4096;
  values["uop_record_bytes"] = 5;
  const isa::Uop uop;
  const sim::GemmPlan plan = sim::MakeGemmPlan(sim::ParseParams(values), gemm, &uop);
  CHECK_EQ(plan.tiles.empty(), true);
  CHECK_EQ(plan.Bytes() < 1000, true);
}

// Micro-op records have 3 bytes, indices 6 bits.
void TestMicroOps() {
  const std::string image("\xc5\x20\x00\x07", 4);  // (5, 3, 2), then acc 7
  sim::Instruction load = Load(sim::Pad::kUop, 0, 0, 3);
  std::get<isa::Load>(load.body).x_pad_left = 1;  // three entries of border
  const sim::PreparedProgram prepared = Prepare({load, MakeGemm(true, 6, 1), Finish()}, image);
  const std::vector<isa::Uop>& uops = prepared.planned[1].plan->uops;
  CHECK_EQ(uops.size(), 6u);
  const uint32_t accs[] = {0, 0, 0, 5, 7, 0};  // zeros lie behind the image
  for (size_t i = 0; i < 6; ++i) CHECK_EQ(uops[i].acc, accs[i]);
  CHECK_EQ(uops[3].inp, 3u);
  CHECK_EQ(uops[3].wgt, 2u);
  const auto program = [](uint32_t iterations) {
    sim::Instruction gemm = MakeGemm(true, 1, iterations);
    std::get<isa::Gemm>(gemm.body).acc_out = 9;
    return std::vector<sim::Instruction>{Load(sim::Pad::kUop, 0, 0, 1), gemm, Finish()};
  };
  Prepare(program(7), image);  // 5 + 6 * 9 = 59
  CHECK_ERROR(
      Prepare(program(8), image),
      "instruction 1 (GEMM): micro-op 0: acc index 5 reaches 68 in the last iteration; the scratchpad "
      "has 64 entries");
}

// A GEMM that resets uses accumulators only: where inp would lie does not matter.
void TestResetsUseAccumulatorsOnly() {
  const std::string image("\xc0\x0f\x00", 3);  // inp 63
  for (const bool reset : {true, false}) {
    sim::Instruction gemm = MakeGemm(reset, 1, 2);
    std::get<isa::Gemm>(gemm.body).inp_out = 1;
    const std::vector<sim::Instruction> program{Load(sim::Pad::kUop, 0, 0, 1), gemm, Finish()};
    if (reset) {
      Prepare(program, image);
    } else {
      CHECK_ERROR(Prepare(program, image), "micro-op 0: inp index 63 reaches 64 in the last iteration");
    }
  }
}

// Two entries of acc make a channel group of 8 with 4 lanes, two vectors of inp one of 16 lanes.
void TestChannelGroupsStayInside() {
  const auto prepare = [](int64_t lanes, isa::Vec::Src src, uint32_t acc, uint32_t inp) {
    const uint32_t code = acc | inp << 6;
    const std::string image{static_cast<char>(code), static_cast<char>(code >> 8)};
    const sim::Program program = MakeProgram(
        {Load(sim::Pad::kUop, 0, 0, 1), testing::MakeVec(isa::Vec::Op::kMov, src, 1, 1), Finish()});
    uint64_t bytes = 0;
    sim::Prepare(sim::ParseParams(testing::SmallParams(lanes)), program, image, {}, false, &bytes);
  };
  prepare(4, isa::Vec::Src::kInp, 62, 63);
  CHECK_ERROR(prepare(4, isa::Vec::Src::kInp, 63, 63),
              "instruction 1 (VEC): micro-op 0: acc index 63 reaches 64 in the last iteration");
  prepare(16, isa::Vec::Src::kInp, 63, 62);
  CHECK_ERROR(prepare(16, isa::Vec::Src::kInp, 63, 63),
              "instruction 1 (VEC): micro-op 0: inp index 63 reaches 64 in the last iteration");
  prepare(16, isa::Vec::Src::kImm, 63, 63);
}

void TestMicroOpsAreConstants() {
  const std::vector<sim::Instruction> loads = {Load(sim::Pad::kUop, 0, 30, 2), Finish()};
  Prepare(loads, "", {{0, 30}, {36, 40}});
  CHECK_ERROR(Prepare(loads, "", {{35, 36}}),
              "instruction 0 (LOAD): micro-ops must be constants, but an input writes DRAM byte 35");
  CHECK_ERROR(Prepare({loads[0], Store(sim::Pad::kOut, 0, 26, 1), Finish()}),
              "but layer 'conv1', instruction 1 (STORE) writes DRAM byte 30");
}

void TestVerification() {
  const std::vector<sim::Instruction> race = {Load(sim::Pad::kUop, 0, 0, 1), MakeGemm(true, 1, 1), Finish()};
  CHECK_ERROR(Prepare(race, "", {}, true), "race: reads entry 0 of scratchpad uop");
  Prepare(race, "", {}, false);
}

// A PPU over two blocks reads two entries of par: each must be there, and must stay until it is done.
void TestEveryParameterEntryIsOrdered() {
  sim::Instruction gemm = MakeGemm(true, 1, 2, "pop_load push_ppu");
  std::get<isa::Gemm>(gemm.body).acc_out = 1;
  sim::Instruction ppu = MakePpu(1, "pop_load pop_compute push_load");
  std::get<isa::Ppu>(ppu.body).blocks = 2;
  std::get<isa::Ppu>(ppu.body).wide = true;
  const auto prepare = [&](const char* first, const char* second, uint32_t entry, const char* overwrite) {
    Prepare({Load(sim::Pad::kUop, 0, 0, 1, "push_compute"), Load(sim::Pad::kPar, 0, 0, 1, first),
             Load(sim::Pad::kPar, entry, 88, 1, second), gemm, ppu, Load(sim::Pad::kPar, 1, 88, 1, overwrite),
             Finish()},
            "", {}, true);
  };
  prepare("", "push_ppu", 1, "pop_ppu");
  CHECK_ERROR(
      prepare("push_ppu", "", 1, "pop_ppu"),
      "instruction 4 (PPU): race: reads entry 1 of scratchpad par, but no token orders it behind layer "
      "'conv1', instruction 2 (LOAD)");
  CHECK_ERROR(prepare("", "push_ppu", 2, "pop_ppu"),
              "instruction 4 (PPU): reads entry 1 of scratchpad par, which nothing has written");
  CHECK_ERROR(
      prepare("", "push_ppu", 1, ""),
      "instruction 5 (LOAD): race: overwrites entry 1 of scratchpad par, but no token orders it behind "
      "layer 'conv1', instruction 4 (PPU)");
}

// The same for the two vectors of a residual, and for the two of a result that a STORE has yet to take.
void TestEveryVectorOfAPpuIsOrdered() {
  sim::Instruction gemm = MakeGemm(true, 1, 2, "pop_load push_ppu");
  std::get<isa::Gemm>(gemm.body).acc_out = 1;
  sim::Instruction ppu = MakePpu(2, "pop_load pop_compute push_store");
  std::get<isa::Ppu>(ppu.body).residual = true;
  const auto residual = [&](const char* first, const char* second) {
    Prepare({Load(sim::Pad::kUop, 0, 0, 1, "push_compute"), Load(sim::Pad::kPar, 0, 0, 1),
             Load(sim::Pad::kInp, 0, 0, 1, first), Load(sim::Pad::kInp, 1, 5, 1, second), gemm, ppu,
             Store(sim::Pad::kOut, 0, 64, 2, "pop_ppu"), Finish()},
            "", {}, true);
  };
  residual("", "push_ppu");
  CHECK_ERROR(residual("push_ppu", ""), "instruction 5 (PPU): race: reads entry 1 of scratchpad inp");
  const auto result = [&](bool ordered, uint32_t entry) {
    const sim::Instruction again = MakePpu(2, ordered ? "pop_store push_store" : "push_store");
    Prepare({Load(sim::Pad::kUop, 0, 0, 1), Load(sim::Pad::kPar, 0, 0, 1, "push_compute"), gemm,
             MakePpu(2, "pop_compute push_store"), Store(sim::Pad::kOut, entry, 64, 1, "pop_ppu push_ppu"),
             again, Store(sim::Pad::kOut, 1, 128, 1, "pop_ppu"), Finish()},
            "", {}, true);
  };
  result(true, 1);
  CHECK_ERROR(
      result(false, 1),
      "instruction 5 (PPU): race: overwrites entry 1 of scratchpad out, but no token orders it behind "
      "layer 'conv1', instruction 4 (STORE)");
}

// A GEMM that accumulates reads what it adds to, and its weights and vectors; a PPU all that it takes.
void TestEverythingReadWasWritten() {
  const auto prepare = [](uint32_t cleared, uint32_t vectors, uint32_t weights, uint32_t pixels,
                          uint32_t uops) {
    sim::Instruction reset = MakeGemm(true, 1, cleared, "pop_load"), gemm = MakeGemm(false, 2, 2, "push_ppu");
    std::get<isa::Gemm>(reset.body).acc_out = 1;
    auto& loop = std::get<isa::Gemm>(gemm.body);
    loop.acc_out = loop.inp_out = loop.wgt_out = 1;
    sim::Instruction ppu = MakePpu(pixels, "pop_compute push_store");
    Prepare({Load(sim::Pad::kUop, 0, 0, uops), Load(sim::Pad::kPar, 0, 0, 1),
             Load(sim::Pad::kInp, 0, 0, vectors), Load(sim::Pad::kWgt, 0, 0, weights, "push_compute"), reset,
             gemm, ppu, Store(sim::Pad::kOut, 0, 64, 1, "pop_ppu"), Finish()},
            "", {}, true);
  };
  prepare(2, 2, 2, 2, 2);
  CHECK_ERROR(prepare(1, 2, 2, 1, 2), "instruction 5 (GEMM): reads entry 1 of scratchpad acc, which nothing");
  CHECK_ERROR(prepare(2, 1, 2, 2, 2), "instruction 5 (GEMM): reads entry 1 of scratchpad inp, which nothing");
  CHECK_ERROR(prepare(2, 2, 1, 2, 2), "instruction 5 (GEMM): reads entry 1 of scratchpad wgt, which nothing");
  CHECK_ERROR(prepare(2, 2, 2, 3, 2), "instruction 6 (PPU): reads entry 2 of scratchpad acc, which nothing");
  CHECK_ERROR(prepare(2, 2, 2, 2, 1), "instruction 5 (GEMM): reads entry 1 of scratchpad uop, which nothing");
}

// Micro-op 0 overwrites entry 0 in the first of two iterations; where the loop moves it, entry 1 is added to.
void TestAnOverwriteReadsNoAccumulator() {
  const auto prepare = [](bool reduces, uint32_t moves) {
    sim::Instruction gemm = MakeGemm(false, 1, 2, "pop_load push_store");
    auto& loop = std::get<isa::Gemm>(gemm.body);
    loop.fresh_uops = 1;
    loop.out_reduces = reduces;
    loop.acc_out = moves;
    Prepare({Load(sim::Pad::kUop, 0, 0, 1), Load(sim::Pad::kInp, 0, 0, 1),
             Load(sim::Pad::kWgt, 0, 0, 1, "push_compute"), gemm,
             Store(sim::Pad::kAcc, 0, 64, 1 + moves, "pop_compute"), Finish()},
            "", {}, true);
  };
  prepare(true, 0);
  prepare(false, 1);
  CHECK_ERROR(prepare(true, 1), "instruction 3 (GEMM): reads entry 1 of scratchpad acc, which nothing");
  CHECK_ERROR(
      prepare(false, 0),
      "instruction 3 (GEMM): micro-op 0 at outer iteration 1, inner 0 overwrites acc entry 0, which an "
      "earlier one of the instruction has written");
}

// The search for the lowest code finds it in every place, and nothing else.
void TestWeightRange() {
  std::mt19937 random(1);
  for (int bits = 2; bits <= 8; ++bits) {
    for (const int scale_bits : {0, 5}) {
      std::map<std::string, int64_t> values = testing::SmallParams();
      values["weight_bits"] = bits;
      values["weight_scale_bits"] = scale_bits;
      values["product_bits"] = scale_bits + 4;
      const int lane_bits = 8 * bits + scale_bits;
      values["wgt_record_bytes"] = lane_bits;  // of 8 lanes
      const sim::Params params = sim::ParseParams(values);
      const sim::Program program = MakeProgram({Load(sim::Pad::kWgt, 0, 0, 2), Finish()});
      const auto symmetric = [&](const std::string& image) {
        return sim::WeightsAreSymmetric(params, program, image, sim::WrittenBytes(params, program, {}));
      };
      std::string image(2 * static_cast<size_t>(lane_bits), '\0');
      const auto flip = [&](int at) {
        auto& byte = image[static_cast<size_t>(at / 8)];
        byte = static_cast<char>(byte ^ (1 << at % 8));
      };
      // All elements 0 or -1, scales anything.
      for (int lane = 0; lane < 16; ++lane) {
        for (int i = 0; i < 8; ++i) {
          const bool ones = random() % 2 == 0;
          for (int bit = 0; bit < bits && ones; ++bit) flip(lane * lane_bits + i * bits + bit);
        }
        for (int bit = 8 * bits; bit < lane_bits; ++bit) {
          if (random() % 2 == 0) flip(lane * lane_bits + bit);
        }
      }
      CHECK_EQ(symmetric(image), true);
      const std::string harmless = image;
      for (int element = 0; element < 128; ++element) {
        const int at = element / 8 * lane_bits + element % 8 * bits;
        for (int bit = 0; bit < bits; ++bit) {
          const bool set =
              (static_cast<unsigned char>(image[static_cast<size_t>((at + bit) / 8)]) >> (at + bit) % 8 &
               1) != 0;
          if (set != (bit == bits - 1)) flip(at + bit);
        }
        CHECK_EQ(symmetric(image), false);
        image = harmless;
      }
      CHECK_EQ(symmetric(""), true);                                  // zeros
      CHECK_EQ(symmetric(image.substr(0, image.size() - 1)), false);  // cannot tell
      const sim::WrittenBytes written(params, program, {{0, 1}});
      CHECK_EQ(sim::WeightsAreSymmetric(params, program, image, written), false);
    }
  }
}

// 40 unsigned steps fit 24 bits if no weight is -8 (test_gemm.cc: 38 fit in any case, 44 with such weights).
void TestSafety() {
  const auto safe = [](uint32_t iterations, char weights) {
    sim::Instruction gemm = MakeGemm(false, 1, iterations);
    std::get<isa::Gemm>(gemm.body).act_unsigned = true;
    const std::vector<sim::Instruction> program = {Load(sim::Pad::kWgt, 0, 0, 1), MakeGemm(true, 1, 1), gemm,
                                                   Finish()};
    return Prepare(program, std::string(36, weights)).planned[2].safe;
  };
  CHECK_EQ(safe(38, '\x88'), true);
  CHECK_EQ(safe(40, '\x88'), false);
  CHECK_EQ(safe(40, '\x77'), true);
  CHECK_EQ(safe(45, '\x77'), false);
}

// What a GEMM without tiles leaves in the accumulators is not known.
void TestNothingIsSafeAfterAGemmWithoutTiles() {
  sim::Instruction scattered = MakeGemm(false, 1, 1000);
  auto& gemm = std::get<isa::Gemm>(scattered.body);
  gemm.iter_in = 1000;
  gemm.acc_in = gemm.acc_out = gemm.wgt_in = gemm.wgt_out = 1;
  std::map<std::string, int64_t> values = testing::SmallParams();
  values["acc_depth"] = values["wgt_depth"] = 4096;
  values["uop_record_bytes"] = 5;
  const sim::Params params = sim::ParseParams(values);
  const auto safe = [&](const sim::Instruction& first) {
    const sim::Program program = MakeProgram({MakeGemm(true, 1, 1), first, MakeGemm(false, 1, 1), Finish()});
    uint64_t bytes = 0;
    return sim::Prepare(params, program, "", {}, false, &bytes).planned[2].safe;
  };
  CHECK_EQ(safe(MakeGemm(false, 1, 1)), true);
  CHECK_EQ(safe(scattered), false);
}

void TestEqualInstructionsShareAPlan() {
  const sim::PreparedProgram prepared =
      Prepare({Load(sim::Pad::kUop, 0, 0, 2), MakeGemm(true, 2, 1), MakeGemm(true, 2, 1),
               MakeGemm(true, 1, 1), Load(sim::Pad::kUop, 0, 3, 1), MakeGemm(true, 2, 1), Finish()},
              std::string("\1\0\0\2\0\0", 6));
  CHECK_EQ(prepared.plans.size(), 3u);
  CHECK_EQ(prepared.planned[1].plan == prepared.planned[2].plan, true);
  CHECK_EQ(prepared.planned[1].plan == prepared.planned[5].plan, false);
  // What overwrites fewer entries touches them in another way.
  std::vector<sim::Instruction> gemms(3, MakeGemm(false, 3, 1));
  for (uint32_t fresh : {0, 1, 2}) std::get<isa::Gemm>(gemms[fresh].body).fresh_uops = fresh;
  gemms.push_back(gemms[1]);
  gemms.push_back(Finish());
  gemms.insert(gemms.begin(), Load(sim::Pad::kUop, 0, 0, 3));
  CHECK_EQ(Prepare(gemms, std::string("\1\0\0\2\0\0\3", 7)).plans.size(), 3u);
  // The largest of accumulators and something is no move, and an immediate no vector.
  using isa::Vec;
  std::vector<sim::Instruction> vecs = {Load(sim::Pad::kUop, 0, 0, 1)};
  for (const Vec::Op op : {Vec::Op::kMov, Vec::Op::kMax}) {
    for (const Vec::Src src : {Vec::Src::kInp, Vec::Src::kImm})
      vecs.push_back(testing::MakeVec(op, src, 1, 1));
  }
  vecs.push_back(vecs.back());
  std::get<Vec>(vecs.back().body).imm = 5;
  vecs.push_back(Finish());
  const sim::PreparedProgram four = Prepare(vecs);
  CHECK_EQ(four.plans.size(), 4u);
  CHECK_EQ(four.planned[4].plan == four.planned[5].plan, true);
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestWrittenBytes();
  tvm_vsq::TestWrittenBytesWithinOthers();
  tvm_vsq::TestTooManyWrittenRanges();
  tvm_vsq::TestTooManyPlans();
  tvm_vsq::TestDroppedTilesTakeNoMemory();
  tvm_vsq::TestMicroOps();
  tvm_vsq::TestResetsUseAccumulatorsOnly();
  tvm_vsq::TestChannelGroupsStayInside();
  tvm_vsq::TestMicroOpsAreConstants();
  tvm_vsq::TestVerification();
  tvm_vsq::TestEveryParameterEntryIsOrdered();
  tvm_vsq::TestEveryVectorOfAPpuIsOrdered();
  tvm_vsq::TestEverythingReadWasWritten();
  tvm_vsq::TestAnOverwriteReadsNoAccumulator();
  tvm_vsq::TestWeightRange();
  tvm_vsq::TestSafety();
  tvm_vsq::TestNothingIsSafeAfterAGemmWithoutTiles();
  tvm_vsq::TestEqualInstructionsShareAPlan();
  return tvm_vsq::testing::Result();
}
