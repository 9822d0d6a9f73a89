// All GEMM kernels equal a direct sum, whatever the shape, the numbers and the threads; overflow is found
// where it happens.
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tests/cpp/execute.h"
#include "tests/cpp/programs.h"
#include "tests/cpp/testing.h"
#include "tvm_vsq/sim/cost.h"
#include "tvm_vsq/sim/declarations.h"
#include "tvm_vsq/sim/gemm.h"
#include "tvm_vsq/sim/gemm_bound.h"
#include "tvm_vsq/sim/overflow.h"

namespace tvm_vsq {
namespace {

struct Format {
  int weight_bits, activation_bits, weight_scale_bits, activation_scale_bits, product_shift;
};

// Scales on both sides, one side and none; dot products and scale products within 16 bits and beyond.
constexpr Format kFormats[] = {{4, 4, 4, 4, 0},   {8, 8, 0, 0, 0},  {4, 8, 6, 10, 8},
                               {8, 8, 10, 10, 0}, {8, 8, 6, 10, 9}, {3, 5, 4, 0, 0},
                               {2, 8, 0, 10, 0},  {4, 4, 8, 8, 0},  {2, 3, 10, 10, 20}};

sim::Params MakeParams(int size, int lanes, const Format& format, int accumulator_bits) {
  std::map<std::string, int64_t> values = testing::SmallParams();
  values["vector_size"] = size;
  values["output_lanes"] = lanes;
  values["weight_bits"] = format.weight_bits;
  values["activation_bits"] = format.activation_bits;
  values["weight_scale_bits"] = format.weight_scale_bits;
  values["activation_scale_bits"] = format.activation_scale_bits;
  values["product_shift"] = format.product_shift;
  values["product_bits"] = format.weight_scale_bits + format.activation_scale_bits - format.product_shift;
  values["accumulator_bits"] = accumulator_bits;
  values["acc_depth"] = 256;
  const int activation = size * format.activation_bits + format.activation_scale_bits;
  values["inp_record_bytes"] = values["out_record_bytes"] = (activation + 7) / 8;
  values["wgt_record_bytes"] = (lanes * (size * format.weight_bits + format.weight_scale_bits) + 7) / 8;
  values["acc_record_bytes"] = 4 * lanes;
  values["par_record_bytes"] = 11 * lanes;
  return sim::ParseParams(values);
}

class Generator {
 public:
  int Draw(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  // Full-range elements; scales so small that `additions` of them fit 31 bits, with what is there before.
  sim::Scratchpads Pads(const sim::Params& params, int additions) {
    sim::Scratchpads pads(params);
    const int bias = 1 << (params.activation_bits - 1);
    for (size_t i = 0; i < pads.inp_code.size(); ++i) {
      pads.inp_code[i] = static_cast<uint8_t>(Draw(0, 2 * bias - 1));
      pads.inp_biased[i] = static_cast<uint8_t>(pads.inp_code[i] ^ bias);
    }
    const int lowest = -(1 << (params.weight_bits - 1));
    for (int8_t& element : pads.wgt) element = static_cast<int8_t>(Draw(lowest, -lowest - 1));
    const auto size = static_cast<size_t>(params.vector_size),
               lanes = static_cast<size_t>(params.output_lanes);
    for (size_t i = 0; i < pads.wgt.size(); ++i)
      pads.wgt_sum[i / (size * lanes) * lanes + i / 4 % lanes] += pads.wgt[i];
    const int64_t dot = sim::LargestDot(params, true, -lowest);
    const auto most = static_cast<int>(std::sqrt(2147483647.0 / static_cast<double>(dot * (additions + 1))));
    const auto scale = [&](int64_t bits) { return bits == 0 ? 1 : Draw(0, std::min((1 << bits) - 1, most)); };
    for (int32_t& s : pads.inp_scale) s = scale(params.activation_scale_bits);
    for (int32_t& s : pads.wgt_scale) s = scale(params.weight_scale_bits);
    for (int32_t& acc : pads.acc32) acc = Draw(-1000, 1000);
    return pads;
  }

  // Either any micro-ops, or some of the loop nests that compilers emit.
  isa::Gemm Shape(bool regular, std::vector<isa::Uop>* uops) {
    isa::Gemm gemm;
    gemm.act_unsigned = Draw(0, 1) == 1;
    const auto any = [&](int high) { return static_cast<uint32_t>(Draw(0, high)); };
    gemm.iter_out = 1 + any(3);
    gemm.iter_in = 1 + any(3);
    gemm.inp_out = any(2);
    gemm.inp_in = any(2);
    if (!regular) {
      for (uint32_t Gemm::* step : {&Gemm::acc_out, &Gemm::acc_in, &Gemm::wgt_out, &Gemm::wgt_in})
        gemm.*step = any(1) * any(3);
      for (int u = Draw(1, 20); u > 0; --u) uops->push_back({any(40), any(40), any(40)});
    } else {
      // Kernel positions of some pixels; each loop is over pixels, output groups or inputs.
      const uint32_t pixels = 1 + any(10), positions = 1 + any(3);
      for (uint32_t k = 0; k < positions; ++k) {
        for (uint32_t p = 0; p < pixels; ++p) uops->push_back({p, 2 * p + k, k});
      }
      const int out = Draw(0, 2), in = Draw(0, 2);
      gemm.acc_out = out == 2 ? 0 : pixels;
      gemm.acc_in = in == 2 ? 0 : pixels * (out == 2 ? 1 : gemm.iter_out);
      gemm.wgt_out = out == 0 ? 0 : positions;
      gemm.wgt_in = in == 0 ? 0 : positions + 1;
      // The reductions begin here, or before.
      gemm.fresh_uops = any(1) * pixels;
      gemm.out_reduces = out == 2;
      gemm.in_reduces = in == 2;
    }
    gemm.uop_count = static_cast<uint32_t>(uops->size());
    return gemm;
  }

 private:
  using Gemm = isa::Gemm;
  std::mt19937 random_{1};
};

bool Overwrites(const isa::Gemm& gemm, size_t o, size_t i, size_t u) {
  return u < gemm.fresh_uops && (o == 0 || !gemm.out_reduces) && (i == 0 || !gemm.in_reduces);
}

// `largest` is the largest magnitude of an accumulator on the way.
std::vector<int64_t> Expected(const sim::Params& params, const isa::Gemm& gemm,
                              const std::vector<isa::Uop>& uops, const sim::Scratchpads& pads,
                              int64_t* largest = nullptr) {
  const auto v = static_cast<size_t>(params.vector_size), lanes = static_cast<size_t>(params.output_lanes);
  std::vector<int64_t> acc(pads.acc32.begin(), pads.acc32.end());
  for (size_t o = 0; o < gemm.iter_out; ++o) {
    for (size_t i = 0; i < gemm.iter_in; ++i) {
      for (size_t u = 0; u < uops.size(); ++u) {
        const isa::Uop& uop = uops[u];
        const size_t a = uop.acc + o * gemm.acc_out + i * gemm.acc_in;
        const size_t x = uop.inp + o * gemm.inp_out + i * gemm.inp_in;
        const size_t w = uop.wgt + o * gemm.wgt_out + i * gemm.wgt_in;
        for (size_t b = 0; b < lanes; ++b) {
          int64_t dot = 0;
          for (size_t k = 0; k < v; ++k) {
            const int code = pads.inp_code[x * v + k], half = 1 << (params.activation_bits - 1);
            const int value = gemm.act_unsigned || code < half ? code : code - 2 * half;
            dot += value * pads.wgt[w * v * lanes + k / 4 * 4 * lanes + 4 * b + k % 4];
          }
          int64_t product = int64_t{pads.inp_scale[x]} * pads.wgt_scale[w * lanes + b];
          if (params.product_shift > 0) {
            product = (product + (int64_t{1} << (params.product_shift - 1))) >> params.product_shift;
            product = std::min(product, (int64_t{1} << params.product_bits) - 1);
          }
          acc[a * lanes + b] = (Overwrites(gemm, o, i, u) ? 0 : acc[a * lanes + b]) +
                               dot * product * (int64_t{1} << gemm.shift);
          if (largest != nullptr) *largest = std::max(*largest, std::abs(acc[a * lanes + b]));
        }
      }
    }
  }
  return acc;
}

template <typename Acc>
void CheckEqual(const std::vector<Acc>& acc, const std::vector<int64_t>& expected) {
  CHECK_EQ(std::equal(acc.begin(), acc.end(), expected.begin(), expected.end()), true);
}

// With a look at every sum.
sim::Scratchpads Checked(const sim::Params& params, const isa::Gemm& gemm, const sim::GemmPlan& plan,
                         const sim::Scratchpads& pads) {
  sim::Scratchpads result = pads;
  const sim::GemmUnit unit(params);
  if (sim::Declared<isa::Gemm>::Fills(gemm)) unit.Clear(plan.touched[0], &result);
  unit.ExecuteChecked(testing::MakeProgram({testing::Make(gemm)}), 0, plan, &result);
  return result;
}

// Returns whether the instruction can run on the fast kernels.
bool CheckKernels(const sim::Params& params, const isa::Gemm& gemm, const std::vector<isa::Uop>& uops,
                  const sim::Scratchpads& pads) {
  const sim::GemmPlan plan = sim::MakeGemmPlan(params, gemm, uops.data());
  const std::vector<int64_t> expected = Expected(params, gemm, uops, pads);
  const sim::Instruction instruction = testing::Make(gemm);
  CheckEqual(Checked(params, gemm, plan, pads).acc32, expected);
  sim::Scratchpads chosen = pads;
  testing::Execute(params, instruction, &chosen, nullptr, {&plan, false});
  CheckEqual(chosen.acc32, expected);
  if (plan.tiles.empty()) return false;
  for (const std::string& kernel : sim::GemmKernelNames()) {
    sim::UseGemmKernel(kernel);
    for (const int threads : {1, 3}) {
      sim::Scratchpads result = pads;
      testing::Execute(params, instruction, &result, nullptr, {&plan, true}, threads);
      CheckEqual(result.acc32, expected);
    }
  }
  return true;
}

void TestKernels() {
  Generator generator;
  int planned[2] = {}, shifted = 0;
  for (const Format& format : kFormats) {
    for (const int size : {8, 16, 32, 64}) {
      for (const int lanes : {4, 8, 16, 32, 64}) {
        const sim::Params params = MakeParams(size, lanes, format, 32);
        const sim::Scratchpads pads = generator.Pads(params, 20 * 16);
        for (const bool regular : {false, true, true}) {
          std::vector<isa::Uop> uops;
          isa::Gemm gemm = generator.Shape(regular, &uops);
          planned[regular ? 1 : 0] += CheckKernels(params, gemm, uops, pads) ? 1 : 0;
          gemm.shift = static_cast<uint32_t>(generator.Draw(1, 17));
          for (int64_t largest = int64_t{1} << 31; gemm.shift > 0 && largest >> 31 > 0;) {
            --gemm.shift;
            largest = 0;
            Expected(params, gemm, uops, pads, &largest);
          }
          shifted += gemm.shift > 0 ? 1 : 0;
          CheckKernels(params, gemm, uops, pads);
        }
      }
    }
  }
  const int shapes = static_cast<int>(std::size(kFormats)) * 20;
  CHECK_EQ(planned[0] < shapes, true);  // some accumulate twice in one entry
  CHECK_EQ(planned[1], 2 * shapes);
  CHECK_EQ(shifted > shapes, true);
}

// Refused is what overwrites an entry that the instruction has written before, and nothing else; else the
// entries that it overwrites hold nothing before, all others do.
void TestOverwrites() {
  Generator generator;
  const sim::Params params = MakeParams(8, 8, {4, 4, 4, 4, 0}, 32);
  const sim::Scratchpads pads = generator.Pads(params, 20 * 16);
  int refused = 0, kept = 0, mixed = 0;
  for (int round = 0; round < 3000; ++round) {
    std::vector<isa::Uop> uops;
    isa::Gemm gemm = generator.Shape(generator.Draw(0, 1) == 1, &uops);
    if (generator.Draw(0, 1) == 1) {
      gemm.fresh_uops = static_cast<uint32_t>(generator.Draw(0, static_cast<int>(uops.size())));
      gemm.out_reduces = generator.Draw(0, 1) == 1;
      gemm.in_reduces = generator.Draw(0, 1) == 1;
    }
    std::vector<int> writes(static_cast<size_t>(params.acc_depth));  // bits: 1 overwritten, 2 accumulated
    std::string late;
    uint64_t overwrites = 0;
    for (size_t o = 0; o < gemm.iter_out; ++o) {
      for (size_t i = 0; i < gemm.iter_in; ++i) {
        for (size_t u = 0; u < uops.size(); ++u) {
          const size_t acc = uops[u].acc + o * gemm.acc_out + i * gemm.acc_in;
          const bool fresh = Overwrites(gemm, o, i, u);
          if (fresh && writes[acc] != 0 && late.empty()) {
            late = sim::Concat("micro-op ", u, " at outer iteration ", o, ", inner ", i,
                               " overwrites acc entry ", acc,
                               ", which an earlier one of the instruction has written");
          }
          writes[acc] |= fresh ? 1 : 2;
          overwrites += fresh ? 1 : 0;
        }
      }
    }
    const sim::GemmPlan plan = sim::MakeGemmPlan(params, gemm, uops.data());
    std::string error;
    sim::Declared<isa::Gemm>::CheckPlan(params, gemm, plan,
                                        [&](const auto&... parts) { error = sim::Concat(parts...); });
    CHECK_EQ(error, late);
    if (!late.empty()) {
      ++refused;
      continue;
    }
    ++(overwrites > 0 ? mixed : kept);
    std::vector<int> declared(writes.size());
    const sim::Instruction instruction = testing::Make(gemm);
    sim::ForEachIndexed(
        params, instruction, plan, [&](sim::Pad pad, sim::Use use, uint64_t begin, uint64_t entries) {
          for (uint64_t entry = begin; pad == sim::Pad::kAcc && entry < begin + entries; ++entry)
            declared[entry] |= use == sim::Use::kFill ? 1 : 2;
        });
    for (size_t entry = 0; entry < writes.size(); ++entry)
      CHECK_EQ(declared[entry], writes[entry] == 3 ? 1 : writes[entry]);
    sim::EventCounts counts{};
    sim::CostModel(params).AddEvents(instruction, 0, &counts);
    const uint64_t all = uint64_t{gemm.iter_out} * gemm.iter_in * uops.size(), bits = 8 * 32;
    CHECK_EQ(counts[static_cast<size_t>(isa::Event::kAccWriteBits)], static_cast<int64_t>(all * bits));
    CHECK_EQ(counts[static_cast<size_t>(isa::Event::kAccReadBits)],
             static_cast<int64_t>((all - overwrites) * bits));
    CheckKernels(params, gemm, uops, pads);
  }
  for (const int count : {refused, kept, mixed}) CHECK_EQ(count > 300, true);
}

// Accumulators of more than 32 bits: micro-op 0 overwrites entry 0, then adds to it.
void TestOverwritesOfWideAccumulators() {
  const sim::Params params = MakeParams(8, 8, {4, 4, 4, 4, 0}, 46);
  sim::Scratchpads pads(params);
  std::fill(pads.acc64.begin(), pads.acc64.end(), int64_t{1} << 44);
  pads.inp_code[0] = 3;
  pads.inp_scale[0] = 1;
  std::fill(pads.wgt_scale.begin(), pads.wgt_scale.end(), 1);
  for (size_t lane = 0; lane < 8; ++lane) pads.wgt[4 * lane] = static_cast<int8_t>(lane);
  sim::Instruction instruction = testing::MakeGemm(false, 1, 2);
  auto& gemm = std::get<isa::Gemm>(instruction.body);
  gemm.act_unsigned = gemm.out_reduces = true;
  gemm.fresh_uops = 1;
  const isa::Uop uop;
  const sim::GemmPlan plan = sim::MakeGemmPlan(params, gemm, &uop);
  testing::Execute(params, instruction, &pads, nullptr, {&plan, true});
  for (size_t lane = 0; lane < 8; ++lane) CHECK_EQ(pads.acc64[lane], static_cast<int64_t>(2 * 3 * lane));
  CHECK_EQ(pads.acc64[8], int64_t{1} << 44);
}

// Enough work for several threads and rounds.
void TestLargeInstruction() {
  Generator generator;
  const sim::Params params = testing::Small("accumulator_bits", 32);
  const sim::Scratchpads pads = generator.Pads(params, 9 * 40000);
  isa::Gemm gemm;
  gemm.iter_out = 7;
  gemm.iter_in = 40000;
  gemm.acc_out = 9;
  gemm.inp_out = 3;
  std::vector<isa::Uop> uops;
  for (uint32_t u = 0; u < 9; ++u) uops.push_back({u, u, u % 2});
  gemm.uop_count = 9;
  CHECK_EQ(CheckKernels(params, gemm, uops, pads), true);
  gemm.fresh_uops = 9;
  gemm.in_reduces = true;
  CHECK_EQ(CheckKernels(params, gemm, uops, pads), true);
}

void TestUnknownKernel() {
  CHECK_ERROR(sim::UseGemmKernel("abacus"), "no GEMM kernel 'abacus' on this processor; there are ");
}

// Both limits are inside; one more is outside, in any lane; with narrow and wide accumulators.
void TestOverflow() {
  for (const int bits : {16, 32, 33, 46}) {
    for (int lane = 0; lane < 8; ++lane) {
      for (const int sign : {1, -1}) {
        const sim::Params params = MakeParams(8, 8, {4, 4, 4, 4, 0}, bits);
        sim::Scratchpads pads(params);
        pads.inp_code[7] = 1;
        pads.inp_scale[0] = pads.wgt_scale[static_cast<size_t>(lane)] = 1;
        pads.wgt[static_cast<size_t>(4 * 8 + 4 * lane + 3)] = static_cast<int8_t>(sign);
        const int64_t limit = sign > 0 ? (int64_t{1} << (bits - 1)) - 1 : -(int64_t{1} << (bits - 1));
        const auto acc = [&]() -> int64_t {
          const auto at = static_cast<size_t>(lane);
          return bits <= 32 ? pads.acc32[at] : pads.acc64[at];
        };
        if (bits <= 32) {
          pads.acc32[static_cast<size_t>(lane)] = static_cast<int32_t>(limit - 2 * sign);
        } else {
          pads.acc64[static_cast<size_t>(lane)] = limit - 2 * sign;
        }
        sim::Instruction instruction = testing::MakeGemm(false, 1, 2);
        std::get<isa::Gemm>(instruction.body).act_unsigned = true;
        const auto run = [&](uint32_t iterations) {
          std::get<isa::Gemm>(instruction.body).iter_out = iterations;
          const sim::Program program = testing::MakeProgram({instruction});
          const isa::Uop uop;
          const sim::GemmPlan plan = sim::MakeGemmPlan(params, std::get<isa::Gemm>(instruction.body), &uop);
          sim::GemmUnit(params).ExecuteChecked(program, 0, plan, &pads);
        };
        run(2);
        CHECK_EQ(acc(), limit);
        CHECK_ERROR(
            run(1),
            "accumulator overflow: micro-op 0 at outer iteration 0, inner 0 brings acc entry 0 outside");
      }
    }
  }
}

// 24 bits hold 8388607. A step adds at most 8 * 8 * 15 * 225 = 216000 with unsigned activations and weights
// of -8, 189000 without such weights, 115200 with signed activations.
void TestBounds() {
  const sim::Params params = testing::Small();
  const isa::Uop uop;
  isa::Gemm gemm;
  gemm.uop_count = gemm.iter_in = 1;
  const auto safe = [&](bool act_unsigned, uint32_t iterations, int64_t max_weight) {
    gemm.act_unsigned = act_unsigned;
    gemm.iter_out = iterations;
    const sim::GemmPlan plan = sim::MakeGemmPlan(params, gemm, &uop);
    return sim::AccumulatorBounds(params, max_weight).Visit(params, testing::Make(gemm), &plan);
  };
  CHECK_EQ(safe(true, 38, 8), true);  // 38 * 216000 = 8208000
  CHECK_EQ(safe(true, 39, 8), false);
  CHECK_EQ(safe(true, 44, 7), true);  // 44 * 189000 = 8316000
  CHECK_EQ(safe(true, 45, 7), false);
  CHECK_EQ(safe(false, 72, 8), true);  // 72 * 115200 = 8294400
  CHECK_EQ(safe(false, 73, 8), false);
  // Bounds add up until a reset or an overwrite, and a wide result may be any int32.
  sim::AccumulatorBounds bounds(params, 8);
  isa::Gemm reset;
  reset.reset = true;
  reset.uop_count = reset.iter_out = reset.iter_in = 1;
  isa::Ppu wide;
  wide.wide = true;
  wide.pixels = wide.blocks = 1;
  gemm.act_unsigned = true;
  gemm.iter_out = 20;
  const sim::GemmPlan add = sim::MakeGemmPlan(params, gemm, &uop),
                      clear = sim::MakeGemmPlan(params, reset, &uop);
  const auto visit = [&](const isa::AnyInstruction& insn, const sim::MicroOpPlan* plan) {
    return bounds.Visit(params, testing::Make(insn), plan);
  };
  CHECK_EQ(visit(gemm, &add), true);
  CHECK_EQ(visit(gemm, &add), false);
  CHECK_EQ(visit(gemm, &add), false);
  CHECK_EQ(visit(reset, &clear), true);
  CHECK_EQ(visit(gemm, &add), true);
  isa::Gemm fresh = gemm;
  fresh.fresh_uops = 1;
  fresh.out_reduces = true;
  const sim::GemmPlan overwrite = sim::MakeGemmPlan(params, fresh, &uop);
  CHECK_EQ(visit(fresh, &overwrite), true);
  CHECK_EQ(visit(fresh, &overwrite), true);
  CHECK_EQ(visit(gemm, &add), false);
  visit(reset, &clear);
  visit(wide, nullptr);
  CHECK_EQ(visit(gemm, &add), false);
}

// 38 steps of unsigned elements fit 24 bits, at most 216000 each (above): so do 19 of them twice as large,
// and one 32 times, and what is added 2^16 times is too much for any.
void TestBoundOfAShift() {
  const sim::Params params = testing::Small();
  const auto safe = [&](uint32_t iterations, uint32_t shift) {
    isa::Gemm gemm = std::get<isa::Gemm>(testing::MakeGemm(false, 1, iterations).body);
    gemm.act_unsigned = true;
    gemm.shift = shift;
    const isa::Uop uop;
    const sim::GemmPlan plan = sim::MakeGemmPlan(params, gemm, &uop);
    sim::AccumulatorBounds bounds(params, 8);
    return bounds.Visit(params, testing::Make(gemm), &plan);
  };
  CHECK_EQ(safe(38, 0), true);
  CHECK_EQ(safe(39, 0), false);
  CHECK_EQ(safe(19, 1), true);
  CHECK_EQ(safe(20, 1), false);
  CHECK_EQ(safe(1, 5), true);
  CHECK_EQ(safe(1, 6), false);
  CHECK_EQ(safe(1023, 16), false);
}

// What is looked at is what was shifted.
void TestOverflowOfAShift() {
  const sim::Params params = MakeParams(8, 8, {4, 4, 4, 4, 0}, 32);
  isa::Gemm gemm = std::get<isa::Gemm>(testing::MakeGemm(false, 1, 1).body);
  const isa::Uop uop;
  const sim::GemmPlan plan = sim::MakeGemmPlan(params, gemm, &uop);
  sim::Scratchpads pads(params);
  std::fill(pads.inp_code.begin(), pads.inp_code.end(), uint8_t{1});
  std::fill(pads.inp_biased.begin(), pads.inp_biased.end(), uint8_t{9});
  std::fill(pads.inp_scale.begin(), pads.inp_scale.end(), 15);
  std::fill(pads.wgt.begin(), pads.wgt.end(), int8_t{7});
  std::fill(pads.wgt_scale.begin(), pads.wgt_scale.end(), 15);
  std::fill(pads.acc32.begin(), pads.acc32.end(), std::numeric_limits<int32_t>::max() - 56 * 225 * 65536);
  gemm.shift = 16;
  sim::Scratchpads checked = pads;
  testing::Execute(params, testing::Make(gemm), &checked, nullptr, {&plan, false});
  CHECK_EQ(checked.acc32[7], std::numeric_limits<int32_t>::max());
  ++pads.acc32[7];
  CHECK_ERROR(testing::Execute(params, testing::Make(gemm), &pads, nullptr, {&plan, false}),
              "accumulator overflow: micro-op 0");
}

// Operands that fit keep every sum on the way inside; those that leave it are never said to.
void TestOperandsFit() {
  Generator generator;
  int fitting = 0, overflowing = 0;
  for (const Format& format : kFormats) {
    for (int round = 0; round < 400; ++round) {
      const int bits = generator.Draw(16, 32);
      const sim::Params params = MakeParams(8, 8, format, bits);
      sim::Scratchpads pads = generator.Pads(params, 1 << generator.Draw(2, 12));
      std::vector<isa::Uop> uops;
      isa::Gemm gemm = generator.Shape(true, &uops);
      gemm.fresh_uops = 0;
      gemm.shift = static_cast<uint32_t>(generator.Draw(0, 2));
      const sim::GemmPlan plan = sim::MakeGemmPlan(params, gemm, uops.data());
      const bool fits = sim::OperandsFit(params, gemm, plan, pads);
      int64_t largest = 0;
      Expected(params, gemm, uops, pads, &largest);
      const bool overflows = largest >> (bits - 1) > 0;
      CHECK_EQ(fits && overflows, false);
      fitting += fits ? 1 : 0;
      overflowing += overflows ? 1 : 0;
    }
  }
  for (const int count : {fitting, overflowing}) CHECK_EQ(count > 400, true);
}

// The bound is reached by weights of the largest magnitude that have the activations' signs: it and what was
// there add up to the last accumulator inside, in one lane of one pixel.
void TestOperandsThatJustFit() {
  for (const bool act_unsigned : {false, true}) {
    for (const bool wgt_unsigned : {false, true}) {
      for (const Format& format : {Format{4, 4, 4, 4, 0}, Format{4, 4, 4, 4, 3}, Format{4, 4, 0, 0, 0}}) {
        const sim::Params params = MakeParams(8, 8, format, 24);
        const bool scaled = format.weight_scale_bits > 0;
        sim::Scratchpads pads(params);
        for (size_t i = 0; i < 8; ++i) {
          pads.inp_code[8 + i] = 13;  // -3, or 13 without a sign
          pads.inp_biased[8 + i] = 5;
        }
        pads.inp_scale[1] = pads.wgt_scale[8 + 2] = scaled ? 11 : 1;
        isa::Gemm gemm = std::get<isa::Gemm>(testing::MakeGemm(false, 1, 2).body);
        gemm.act_unsigned = act_unsigned;
        gemm.wgt_unsigned = wgt_unsigned;
        gemm.acc_out = gemm.inp_out = 1;
        gemm.shift = 2;
        const isa::Uop uop{0, 0, 1};
        const sim::GemmPlan plan = sim::MakeGemmPlan(params, gemm, &uop);
        const int64_t factor = !scaled ? 1 : format.product_shift > 0 ? 15 : 121;  // rhu(121, 8)
        const int64_t sum = 8 * (act_unsigned ? 13 : 3) * (wgt_unsigned ? 15 : 8) * factor * 4;
        for (const int sign : {1, -1}) {
          int32_t& acc = pads.acc32[8 + 5];
          acc = static_cast<int32_t>(sign * ((int64_t{1} << 23) - 1 - sum));
          CHECK_EQ(sim::OperandsFit(params, gemm, plan, pads), true);
          acc += sign;
          CHECK_EQ(sim::OperandsFit(params, gemm, plan, pads), false);
          acc = sign * (1 << 23);
          CHECK_EQ(sim::OperandsFit(params, gemm, plan, pads), false);
          acc = 0;
        }
      }
    }
  }
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestKernels();
  tvm_vsq::TestOperandsFit();
  tvm_vsq::TestOperandsThatJustFit();
  tvm_vsq::TestBoundOfAShift();
  tvm_vsq::TestOverflowOfAShift();
  tvm_vsq::TestOverwrites();
  tvm_vsq::TestOverwritesOfWideAccumulators();
  tvm_vsq::TestLargeInstruction();
  tvm_vsq::TestUnknownKernel();
  tvm_vsq::TestOverflow();
  tvm_vsq::TestBounds();
  return tvm_vsq::testing::Result();
}
