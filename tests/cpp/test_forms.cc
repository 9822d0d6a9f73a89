// Forms of vectors beside the array's own: tensors of a program in them, bit by bit; what is refused of them
// and of their digits; what instructions on them cost, and how large their accumulators can get.
#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/cpp/bit_string.h"
#include "tests/cpp/programs.h"
#include "tests/cpp/testing.h"
#include "tvm_vsq/runtime/tensor_codec.h"
#include "tvm_vsq/sim/check.h"
#include "tvm_vsq/sim/declarations.h"
#include "tvm_vsq/sim/prepare.h"
#include "tvm_vsq/sim/timing.h"

namespace tvm_vsq {
namespace {

using runtime::Descriptor;
using testing::Finish;
using testing::MakeProgram;

std::map<std::string, int64_t> Values(int64_t passes, int64_t lanes = 8) {
  std::map<std::string, int64_t> values = testing::SmallParams(lanes);
  values["precision_passes"] = passes;
  return values;
}

// 4-bit elements and scales, V = 8.
sim::Params Small(int64_t passes) { return sim::ParseParams(Values(passes)); }

sim::Params WithBits(int64_t passes, int64_t weight, int64_t activation) {
  std::map<std::string, int64_t> values = Values(passes);
  values["weight_bits"] = weight;
  values["activation_bits"] = activation;
  values["inp_record_bytes"] = values["out_record_bytes"] = (8 * activation + 4 + 7) / 8;
  values["wgt_record_bytes"] = 8 * weight + 4;
  return sim::ParseParams(values);
}

void TestTensors() {
  std::mt19937 random(3);
  const auto draw = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  for (int round = 0; round < 500; ++round) {
    const sim::Params params = WithBits(draw(1, 4), draw(2, 8), draw(2, 8));
    Descriptor d{draw(0, 1) == 0 ? Descriptor::kVectors : Descriptor::kSecond, draw(0, 40), draw(1, 70), 9,
                 1};
    if (d.kind == Descriptor::kVectors) d.is_signed = draw(0, 1);
    const int64_t width = d.kind == Descriptor::kSecond ? params.second_bits : params.activation_bits;
    d.digits = draw(1, std::min(params.precision_passes, (8 + width - 1) / width));
    d.bits = draw(std::max<int64_t>(2, (d.digits - 1) * width + 1), std::min<int64_t>(8, d.digits * width));
    d.scale_bits = draw(0, 4);
    runtime::CheckDescriptor(params, d, 65536);
    std::vector<int16_t> tensor(static_cast<size_t>(d.rows * 9)), again(tensor.size());
    std::vector<uint8_t> expected(65536), found(65536);
    const int64_t high = (1 << (d.bits - d.is_signed)) - 1;
    size_t at = static_cast<size_t>(d.dram_offset);
    for (size_t row = 0; row < static_cast<size_t>(d.rows); ++row) {
      int16_t* vector = &tensor[row * 9];
      for (int i = 0; i < 8; ++i) vector[i] = static_cast<int16_t>(draw(d.is_signed == 1 ? -high : 0, high));
      vector[8] = static_cast<int16_t>(d.scale_bits == 0 ? 1 : draw(0, (1 << d.scale_bits) - 1));
      for (int64_t digit = 0; digit < d.digits; ++digit) {
        testing::BitString bits;
        // Bits of an element's two's complement, from the digit's first one up.
        for (int i = 0; i < 8; ++i)
          bits.Put(static_cast<int>(vector[i]) >> static_cast<int>(digit * width), static_cast<int>(width));
        bits.Put(vector[8], 4);
        std::copy(bits.bytes().begin(), bits.bytes().end(), expected.begin() + static_cast<int64_t>(at));
        at += bits.bytes().size();
      }
    }
    CHECK_EQ(runtime::TensorBytes(params, d), static_cast<int64_t>(at) - d.dram_offset);
    runtime::WriteTensor(params, d, tensor.data(), &found);
    CHECK_EQ(found == expected, true);
    runtime::ReadTensor(params, d, found, again.data());
    CHECK_EQ(again == tensor, true);
    // One more than the form has.
    int16_t& element = tensor[static_cast<size_t>(draw(0, d.rows - 1) * 9 + draw(0, 7))];
    element = static_cast<int16_t>(high + 1);
    const std::string name = std::to_string(d.bits) + "-bit " + (d.is_signed == 1 ? "signed" : "unsigned");
    CHECK_ERROR(runtime::WriteTensor(params, d, tensor.data(), &found),
                " is " + std::to_string(high + 1) + "; " + name);
    element = 0;
    tensor[8] = static_cast<int16_t>(d.scale_bits == 0 ? 0 : 1 << d.scale_bits);
    CHECK_ERROR(
        runtime::WriteTensor(params, d, tensor.data(), &found),
        "vector 0: scale " + std::to_string(tensor[8]) + "; " + std::to_string(d.scale_bits) + "-bit scales");
  }
}

void TestRefusedTensors() {
  const auto check = [](int64_t passes, int64_t kind, int64_t bits, int64_t scale_bits, int64_t digits) {
    runtime::CheckDescriptor(Small(passes), {kind, 0, 4, 9, 1, bits, scale_bits, digits}, 65536);
  };
  check(1, 0, 4, 4, 1);
  check(1, 0, 2, 0, 1);
  check(2, 0, 8, 4, 2);
  check(2, 2, 5, 4, 2);
  check(1, 1, 0, 0, 1);
  CHECK_ERROR(check(1, 0, 8, 4, 2), "digits is 2, must be 1 to precision_passes, 1");
  CHECK_ERROR(check(2, 0, 4, 4, 0), "digits is 0, must be 1 to precision_passes, 2");
  CHECK_ERROR(check(2, 0, 4, 4, 3), "digits is 3, must be 1 to precision_passes, 2");
  CHECK_ERROR(check(2, 0, 4, 4, 2), "bits is 4, must be 5 to 8 with 2 digits of 4 bits");
  CHECK_ERROR(check(2, 0, 9, 4, 2), "bits is 9, must be 5 to 8 with 2 digits of 4 bits");
  CHECK_ERROR(check(2, 0, 5, 4, 1), "bits is 5, must be 2 to 4 with 1 digits of 4 bits");
  CHECK_ERROR(check(2, 0, 1, 4, 1), "bits is 1, must be 2 to 4 with 1 digits of 4 bits");
  CHECK_ERROR(check(3, 2, 8, 4, 3), "bits is 8, must be 9 to 8 with 3 digits of 4 bits");
  CHECK_ERROR(check(2, 0, 8, 5, 2), "scale_bits is 5, must be 0 to the 4 bits of a scale");
  CHECK_ERROR(check(2, 0, 8, -1, 2), "scale_bits is -1, must be 0 to the 4 bits of a scale");
  CHECK_ERROR(check(2, 0, 0, 4, 1), "scale_bits is 4, must be 0 where bits is");
  CHECK_ERROR(check(2, 0, 0, 0, 2), "digits is 2, must be 1 where bits is 0");
  CHECK_ERROR(check(2, 1, 8, 0, 1), "bits is 8, must be 0 with kind 1, which has no vectors");
  CHECK_ERROR(check(2, 1, 0, 0, 2), "digits is 2, must be 1 where bits is 0");
  // 4 rows of two records of 5 bytes.
  const Descriptor d{0, 65536 - 40, 4, 9, 1, 8, 4, 2};
  runtime::CheckDescriptor(Small(2), d, 65536);
  CHECK_ERROR(runtime::CheckDescriptor(Small(2), d, 65535),
              "4 rows of 10 bytes exceed the 65535 bytes of DRAM");
}

template <typename Insn>
void Check(const sim::Params& params, const Insn& insn) {
  sim::CheckProgram(params, MakeProgram({testing::Make(insn), Finish()}));
}

void TestRefusedFields() {
  isa::Gemm gemm;
  gemm.uop_count = gemm.iter_out = gemm.iter_in = 1;
  gemm.unscaled = true;
  Check(Small(1), gemm);
  gemm.wgt_unsigned = true;
  Check(Small(2), gemm);
  CHECK_ERROR(Check(Small(1), gemm), "field wgt_unsigned is set, but precision_passes is 1");
  CHECK_ERROR(Check(WithBits(2, 8, 4), gemm), "field wgt_unsigned is set, but weight_bits is 8");
  Check(WithBits(2, 7, 4), gemm);
  isa::Dwconv conv;
  conv.uop_count = conv.iter_out = conv.iter_in = conv.tap_rows = conv.tap_columns = 1;
  conv.shift = 16;
  conv.accumulate = true;
  Check(Small(1), conv);
  conv.shift = 17;
  CHECK_ERROR(Check(Small(1), conv), "field shift is 17, must be at most 16");
  conv.shift = 0;
  conv.wgt_unsigned = true;
  CHECK_ERROR(Check(Small(1), conv), "field wgt_unsigned is set, but precision_passes is 1");
  isa::Vec vec;
  vec.src = isa::Vec::Src::kInp;
  vec.uop_count = vec.iter_out = vec.iter_in = 1;
  vec.digits = 1;
  Check(Small(2), vec);
  CHECK_ERROR(Check(Small(1), vec), "field digits is 1, must be below precision_passes, 1");
  CHECK_ERROR(Check(WithBits(2, 4, 8), vec),
              "field digits is 1, a digit from bit 8 on; elements have at most 8 bits");
  vec.src = isa::Vec::Src::kImm;
  CHECK_ERROR(Check(Small(2), vec), "field digits is 1, must be 0 unless src is inp");
  isa::Load load;
  load.mem = sim::Pad::kWgt;
  load.gather = load.gather_unsigned = true;
  load.z_size = load.x_size = load.y_size = load.lanes = 1;
  Check(Small(2), load);
  CHECK_ERROR(Check(Small(1), load), "field gather_unsigned is set, but precision_passes is 1");
  CHECK_ERROR(Check(WithBits(2, 8, 8), load), "field gather_unsigned is set, but second_bits is 8");
  load.gather = false;
  CHECK_ERROR(Check(Small(2), load), "field gather_unsigned is set, but gather is not");
}

void TestRefusedResults() {
  isa::Ppu ppu;
  ppu.pixels = ppu.blocks = 1;
  ppu.out_bits = 3;
  Check(Small(1), ppu);
  ppu.out_scale_bits = 4;
  Check(Small(1), ppu);
  ppu.out_scale_bits = 5;
  CHECK_ERROR(Check(Small(1), ppu), "field out_scale_bits is 5, must be at most the 4 bits of a scale");
  ppu.out_scale_bits = 0;
  ppu.out_bits = 1;
  CHECK_ERROR(Check(Small(1), ppu), "field out_bits is 1, must be 2 to 4 with 1 digits of 4 bits");
  ppu.out_bits = 5;
  CHECK_ERROR(Check(Small(2), ppu), "field out_bits is 5, must be 2 to 4 with 1 digits of 4 bits");
  ppu.digits = 1;
  Check(Small(2), ppu);
  CHECK_ERROR(Check(Small(1), ppu), "field digits is 1, must be below precision_passes, 1");
  CHECK_ERROR(Check(WithBits(2, 8, 8), ppu), "field digits is 1, a digit from bit 8 on");
  ppu.second = true;  // whose elements have 4 bits
  Check(WithBits(2, 4, 8), ppu);
  ppu.second = false;
  ppu.out_bits = 4;
  CHECK_ERROR(Check(Small(2), ppu), "field out_bits is 4, must be 5 to 8 with 2 digits of 4 bits");
  ppu.out_bits = 0;
  CHECK_ERROR(Check(Small(2), ppu), "field digits is 1, must be 0 without out_bits");
  ppu.digits = 0;
  ppu.out_scale_bits = 1;
  CHECK_ERROR(Check(Small(2), ppu), "field out_scale_bits is 1, must be 0 without out_bits");
  ppu.out_scale_bits = 0;
  ppu.wide = true;
  ppu.out_bits = 4;
  CHECK_ERROR(Check(Small(2), ppu), "field out_bits is 4, must be 0 with wide");
  ppu.out_bits = 0;
  ppu.res_digits = 1;
  CHECK_ERROR(Check(Small(2), ppu), "field res_digits is 1, must be 0 without residual");
  ppu.residual = true;
  Check(Small(2), ppu);
  CHECK_ERROR(Check(Small(1), ppu), "field res_digits is 1, must be below precision_passes, 1");
  // 32 vectors of two entries, and one vector of two between pixels.
  ppu = isa::Ppu();
  ppu.pixels = 22;
  ppu.blocks = 1;
  ppu.digits = 1;
  ppu.out_bits = 8;
  Check(Small(2), ppu);
  ppu.vector_skip = 1;  // the last one is entries 2 * 42 and 85
  CHECK_ERROR(Check(Small(2), ppu), "field out_base 64 + 2 entries exceeds the 64 entries of scratchpad out");
  ppu.vector_skip = 0;
  ppu.pixels = 33;
  CHECK_ERROR(Check(Small(2), ppu), "field out_base 0 + 66 entries exceeds the 64 entries of scratchpad out");
}

// Entries that are read and written at once lie in as many banks, or take turns.
void TestTiming() {
  isa::Ppu ppu;
  ppu.pixels = 6;
  ppu.blocks = 2;
  ppu.digits = 1;
  ppu.out_bits = 8;
  ppu.residual = true;
  const auto ppu_conflicts = [&](int64_t lanes, int64_t inp_banks, int64_t out_banks) {
    std::map<std::string, int64_t> values = Values(2, lanes);
    values["inp_banks"] = inp_banks;
    values["out_banks"] = out_banks;
    return sim::Declared<isa::Ppu>::ConflictCycles(sim::ParseParams(values), ppu);
  };
  CHECK_EQ(ppu_conflicts(8, 1, 2), 0);
  CHECK_EQ(ppu_conflicts(8, 1, 1), 6 * 2);       // two entries a block
  CHECK_EQ(ppu_conflicts(4, 1, 1), 0);           // two blocks a vector
  CHECK_EQ(ppu_conflicts(32, 4, 4), 6 * 2 * 1);  // eight entries a block
  CHECK_EQ(ppu_conflicts(32, 4, 1), 6 * 2 * 7);
  ppu.res_digits = 1;
  CHECK_EQ(ppu_conflicts(8, 1, 2), 6 * 2);
  CHECK_EQ(ppu_conflicts(32, 2, 4), 6 * 2 * 3);
  ppu.blocks = 3;
  ppu.digits = ppu.res_digits = 0;
  CHECK_EQ(ppu_conflicts(32, 2, 4), 6 * 3);
  isa::Vec vec;
  vec.src = isa::Vec::Src::kInp;
  vec.uop_count = 5;
  vec.iter_out = vec.iter_in = 1;
  const auto vec_conflicts = [&](int64_t lanes, int64_t banks, uint32_t digits) {
    std::map<std::string, int64_t> values = Values(2, lanes);
    values["inp_banks"] = banks;
    vec.digits = digits - 1;
    return sim::Declared<isa::Vec>::ConflictCycles(sim::ParseParams(values), vec);
  };
  CHECK_EQ(vec_conflicts(8, 1, 1), 0);
  CHECK_EQ(vec_conflicts(8, 1, 2), 5);
  CHECK_EQ(vec_conflicts(8, 2, 2), 0);
  CHECK_EQ(vec_conflicts(4, 1, 2), 0);  // two blocks a vector
  CHECK_EQ(vec_conflicts(32, 2, 1), 5);
  CHECK_EQ(vec_conflicts(32, 2, 2), 5 * 3);
}

void TestEvents() {
  const auto count = [](const isa::AnyInstruction& body, isa::Event event) {
    const sim::Timing timing = sim::SimulateTiming(Small(2), MakeProgram({testing::Make(body), Finish()}));
    return timing.layers[0].events[static_cast<size_t>(event)];
  };
  isa::Gemm gemm;
  gemm.uop_count = 3;
  gemm.iter_out = gemm.iter_in = 1;
  CHECK_EQ(count(gemm, isa::Event::kScaleMacs), 3 * 8);
  CHECK_EQ(count(gemm, isa::Event::kScaleProducts), 3 * 8);
  gemm.unscaled = true;
  CHECK_EQ(count(gemm, isa::Event::kScaleMacs), 0);
  CHECK_EQ(count(gemm, isa::Event::kScaleProducts), 0);
  CHECK_EQ(count(gemm, isa::Event::kMacs), 3 * 64);
  // Two slices of nine taps are three passes through eight multipliers.
  isa::Dwconv conv;
  conv.uop_count = 2;
  conv.iter_out = conv.iter_in = 1;
  conv.tap_rows = conv.tap_columns = 3;
  CHECK_EQ(count(conv, isa::Event::kShiftLaneOps), 0);
  CHECK_EQ(count(conv, isa::Event::kAccReadBits), 0);
  conv.shift = 4;
  CHECK_EQ(count(conv, isa::Event::kShiftLaneOps), 2 * 3 * 8);
  conv.accumulate = true;
  CHECK_EQ(count(conv, isa::Event::kAccReadBits), 2 * 8 * 24);
  isa::Vec vec;
  vec.src = isa::Vec::Src::kInp;
  vec.uop_count = 3;
  vec.iter_out = vec.iter_in = 1;
  vec.digits = 1;
  CHECK_EQ(count(vec, isa::Event::kInpReadBits), 3 * 2 * 36);
  CHECK_EQ(count(vec, isa::Event::kUnpackLaneOps), 3 * 8);
  isa::Ppu ppu;
  ppu.pixels = 3;
  ppu.blocks = 1;
  ppu.digits = 1;
  ppu.out_bits = 8;
  ppu.residual = true;
  ppu.res_digits = 1;
  CHECK_EQ(count(ppu, isa::Event::kOutWriteBits), 3 * 2 * 36);
  CHECK_EQ(count(ppu, isa::Event::kInpReadBits), 3 * 2 * 36);
  CHECK_EQ(count(ppu, isa::Event::kQuantizeLaneOps), 3 * 8);
}

// So many products, one behind the other in one accumulator of 24 bits, are the most that are known to fit.
void TestSafety() {
  const auto safe = [](const isa::AnyInstruction& body, const std::vector<sim::Instruction>& before,
                       int64_t passes = 2) {
    std::vector<sim::Instruction> program = before;
    program.insert(program.end(), {testing::MakeGemm(true, 1, 1), testing::Make(body), Finish()});
    uint64_t bytes = 0;
    const sim::PreparedProgram prepared =
        sim::Prepare(Small(passes), MakeProgram(program), std::string(36, '\x77'), {}, false, &bytes);
    return prepared.planned[prepared.planned.size() - 2].safe;
  };
  const auto most = [&](int64_t addend) { return static_cast<uint32_t>(((1 << 23) - 1) / addend); };
  isa::Gemm gemm;
  gemm.uop_count = gemm.iter_in = 1;
  gemm.act_unsigned = true;
  const auto check = [&](int64_t addend) {
    gemm.iter_out = most(addend);
    CHECK_EQ(safe(gemm, {}), true);
    ++gemm.iter_out;
    CHECK_EQ(safe(gemm, {}), false);
  };
  check(225 * 8 * 15 * 7);
  gemm.wgt_unsigned = true;
  check(225 * 8 * 15 * 15);
  gemm.shift = 2;
  check(225 * 8 * 15 * 15 * 4);
  gemm.unscaled = true;
  gemm.shift = 7;
  check(8 * 15 * 15 * 128);
  gemm.shift = 0;
  gemm.unscaled = gemm.wgt_unsigned = false;
  // Digits that are gathered may be -8, elements may not.
  isa::Load load;
  load.mem = sim::Pad::kWgt;
  load.gather = true;
  load.z_size = load.x_size = load.y_size = load.lanes = 1;
  gemm.iter_out = most(225 * 8 * 15 * 7);
  CHECK_EQ(safe(gemm, {testing::Make(load)}, 1), true);
  CHECK_EQ(safe(gemm, {testing::Make(load)}), false);
  gemm.iter_out = most(225 * 8 * 15 * 8);
  CHECK_EQ(safe(gemm, {testing::Make(load)}), true);
  // Sums of windows: 9 taps, each 7 * 15 times 15 * 15, or 15 in place of 7.
  isa::Dwconv conv;
  conv.uop_count = conv.iter_out = conv.iter_in = 1;
  conv.tap_rows = conv.tap_columns = 3;
  conv.act_unsigned = true;
  conv.shift = 5;  // 9 * 105 * 225 * 32 = 6,804,000 of 8,388,607
  CHECK_EQ(safe(conv, {}), true);
  conv.wgt_unsigned = true;
  CHECK_EQ(safe(conv, {}), false);
  conv.wgt_unsigned = false;
  conv.shift = 6;
  CHECK_EQ(safe(conv, {}), false);
  conv.shift = 5;
  conv.accumulate = true;
  CHECK_EQ(safe(conv, {}), true);
  isa::Gemm before;
  before.uop_count = before.iter_in = 1;
  // Each of these adds 8 * 8 * 7 * 225 = 100,800 at most.
  const auto safe_behind = [&](uint32_t times) {
    isa::Gemm more = before;
    more.iter_out = times;
    std::vector<sim::Instruction> program = {testing::MakeGemm(true, 1, 1), testing::Make(more),
                                             testing::Make(conv), Finish()};
    uint64_t bytes = 0;
    return sim::Prepare(Small(2), MakeProgram(program), std::string(36, '\x77'), {}, false, &bytes)
        .planned[2]
        .safe;
  };
  CHECK_EQ(safe_behind(15), true);   // 1,512,000 more
  CHECK_EQ(safe_behind(16), false);  // 1,612,800 more
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestTensors();
  tvm_vsq::TestRefusedTensors();
  tvm_vsq::TestRefusedFields();
  tvm_vsq::TestRefusedResults();
  tvm_vsq::TestTiming();
  tvm_vsq::TestEvents();
  tvm_vsq::TestSafety();
  return tvm_vsq::testing::Result();
}
