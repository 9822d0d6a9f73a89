// REDUCE against plain arithmetic in numbers that cannot overflow, whatever the shape, and what it leaves
// known.
#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/cpp/execute.h"
#include "tests/cpp/programs.h"
#include "tests/cpp/testing.h"
#include "tvm_vsq/sim/declarations.h"
#include "tvm_vsq/sim/overflow.h"
#include "tvm_vsq/sim/reduce_kernel.h"

namespace tvm_vsq {
namespace {

using isa::Reduce;
__extension__ using Wide = __int128;

// n / d rounded down, and to the nearest number, halves up.
Wide Floor(Wide n, Wide d) { return n / d - (n % d < 0 ? 1 : 0); }
Wide Nearest(Wide n, Wide d) { return Floor(2 * n + d, 2 * d); }
Wide Clip(Wide x, Wide low, Wide high) { return x < low ? low : x > high ? high : x; }
Wide Power(int exponent) { return Wide{1} << exponent; }

std::vector<int64_t> Accumulators(const sim::Scratchpads& pads) {
  return pads.acc64.empty() ? std::vector<int64_t>(pads.acc32.begin(), pads.acc32.end()) : pads.acc64;
}

class Generator {
 public:
  int64_t Draw(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random_);
  }
  uint32_t Any(int64_t high) { return static_cast<uint32_t>(Draw(0, high)); }

  sim::Params Params() {
    std::map<std::string, int64_t> values = testing::SmallParams(4 << Draw(0, 4));
    values["vector_size"] = 8 << Draw(0, 3);
    values["par_depth"] = 40;
    values["accumulator_bits"] = std::vector<int64_t>{16, 24, 32, 33, 46}[Any(4)];
    const int64_t size = values["vector_size"], lanes = values["output_lanes"];
    values["inp_record_bytes"] = values["out_record_bytes"] = (size * 4 + 4 + 7) / 8;
    values["wgt_record_bytes"] = lanes * (size * 4 + 4) / 8;
    return sim::ParseParams(values);
  }

  // Accumulators of all sizes, the largest and the least among them, and tables that give what factors hold
  // and more.
  sim::Scratchpads Pads(const sim::Params& params) {
    sim::Scratchpads pads(params);
    const int64_t bits = std::max<int64_t>(32, params.accumulator_bits);
    const int most = static_cast<int>(Any(bits - 1));
    const auto lane = [&] {
      const int64_t limit = int64_t{1} << (Any(9) == 0 ? bits - 1 : most);
      return Any(9) == 0 ? -limit : Draw(-limit, limit - 1);
    };
    for (int32_t& acc : pads.acc32) acc = static_cast<int32_t>(lane());
    for (int64_t& acc : pads.acc64) acc = lane();
    for (sim::ChannelParams& channel : pads.par) {
      channel.bias = static_cast<int32_t>(Draw(-9999, 75000));
      channel.clip = static_cast<int32_t>(Draw(-9999, 9999));
      if (Any(9) == 0) channel.clip = static_cast<int32_t>(Draw(-8388608, 8388607));
    }
    return pads;
  }

  Reduce Instruction(const sim::Params& params, std::vector<isa::Uop>* uops) {
    Reduce reduce;
    reduce.op = Reduce::Op{static_cast<uint8_t>(Any(2))};
    reduce.to = Reduce::To{static_cast<uint8_t>(Any(3))};
    reduce.shift = Any(3) == 0 ? Any(62) : Any(20);
    reduce.exponent = Any(1) == 0 ? Any(62) : Any(24);
    reduce.mult = Any(65535);
    const int64_t imms[] = {0, -1, Draw(-5000, 5000), std::numeric_limits<int32_t>::min(),
                            std::numeric_limits<int32_t>::max()};
    reduce.imm = static_cast<uint32_t>(imms[Any(4)]);
    reduce.last_lanes = 1 + Any(params.output_lanes - 1);
    reduce.tab_base = Any(params.par_depth - static_cast<int64_t>(sim::SegmentEntries(params)));
    reduce.iter_out = 1 + Any(3);
    reduce.iter_in = 1 + Any(7);
    for (uint32_t Reduce::* step : {&Reduce::acc_out, &Reduce::inp_out, &Reduce::inp_in})
      reduce.*step = Any(4);
    const int64_t blocks = std::max<int64_t>(1, params.vector_size / params.output_lanes);
    for (int64_t left = Draw(1, 5); left > 0; --left) {
      const int64_t results = 64 - blocks - (reduce.iter_out - 1) * reduce.acc_out;
      const int64_t rows = 63 - (reduce.iter_out - 1) * reduce.inp_out - (reduce.iter_in - 1) * reduce.inp_in;
      uops->push_back({Any(results), Any(rows), 0});
    }
    reduce.uop_count = static_cast<uint32_t>(uops->size());
    return reduce;
  }

 private:
  std::mt19937 random_{1};
};

Wide Row(const sim::Params& params, const Reduce& reduce, const std::vector<int64_t>& acc, size_t first) {
  std::vector<int64_t> row;
  for (size_t i = 0; i < reduce.iter_in; ++i) {
    for (size_t lane = 0; lane < static_cast<size_t>(params.output_lanes); ++lane) {
      if (i + 1 < reduce.iter_in || lane < reduce.last_lanes)
        row.push_back(acc[(first + i * reduce.inp_in) * static_cast<size_t>(params.output_lanes) + lane]);
    }
  }
  if (reduce.op == Reduce::Op::kMax) return *std::max_element(row.begin(), row.end());
  Wide sum = 0;
  for (const int64_t lane : row) {
    if (reduce.op == Reduce::Op::kSum) {
      sum += Clip(lane, -Power(31), Power(31) - 1);
    } else {
      const Wide q = Clip(Nearest(lane, Power(static_cast<int>(reduce.shift))), -Power(17), Power(17) - 1);
      sum += q * q;
    }
  }
  return sum;
}

Wide Factor(const Reduce& reduce, const sim::ChannelParams* table, Wide x) {
  int e = -16;
  while (Floor(x, e < 0 ? 1 : Power(e)) * (e < 0 ? Power(-e) : 1) >= Power(17)) ++e;
  const Wide n = e < 0 ? x * Power(-e) : Floor(x, Power(e));
  Wide t = n - Power(16), k = reduce.exponent + Wide{e};
  if (reduce.to == Reduce::To::kRsqrt) {
    const bool odd = e % 2 != 0;
    t = Floor(t, 2) + (odd ? Power(15) : 0);
    k = reduce.exponent + Floor(e, 2);
  }
  const sim::ChannelParams& segment = table[static_cast<size_t>(t / 512)];
  const Wide m = Clip(segment.bias + Nearest(Wide{segment.clip} * (t % 512), 512), 0, 65535);
  return m + 65536 * Clip(k, 0, 62);
}

std::vector<int64_t> Expected(const sim::Params& params, const Reduce& reduce,
                              const std::vector<isa::Uop>& uops, const sim::Scratchpads& pads) {
  std::vector<int64_t> acc = Accumulators(pads);
  const auto lanes = static_cast<size_t>(params.output_lanes);
  const auto group = static_cast<size_t>(std::max(params.vector_size, params.output_lanes));
  const Wide limit = Power(31);
  const Wide imm = static_cast<int32_t>(reduce.imm);
  for (size_t o = 0; o < reduce.iter_out; ++o) {
    for (const isa::Uop& uop : uops) {
      const Wide sum = Row(params, reduce, acc, uop.inp + o * reduce.inp_out);
      Wide result = 0;
      switch (reduce.to) {
        case Reduce::To::kValue:
          result = Clip(sum + imm, -limit, limit - 1);
          break;
        case Reduce::To::kScaled:
          result =
              Clip(Nearest(sum * reduce.mult, Power(static_cast<int>(reduce.exponent))), -limit, limit - 1);
          break;
        default:
          result = Factor(reduce, &pads.par[reduce.tab_base * lanes], sum + imm < 1 ? 1 : sum + imm);
      }
      for (size_t lane = 0; lane < group; ++lane)
        acc[(uop.acc + o * reduce.acc_out) * lanes + lane] = static_cast<int64_t>(result);
    }
  }
  return acc;
}

void TestAgainstPlainArithmetic() {
  Generator generator;
  std::map<std::pair<int, int>, int> seen;
  for (int round = 0; round < 4000; ++round) {
    const sim::Params params = generator.Params();
    std::vector<isa::Uop> uops;
    const Reduce reduce = generator.Instruction(params, &uops);
    const sim::Scratchpads before = generator.Pads(params);
    sim::Scratchpads after = before;
    const auto plan = sim::Declared<Reduce>::MakePlan(params, reduce, uops.data());
    testing::Execute(params, testing::Make(reduce), &after, nullptr, {plan.get(), round % 2 == 0});
    CHECK_EQ(Accumulators(after) == Expected(params, reduce, uops, before), true);
    ++seen[{static_cast<int>(reduce.op), static_cast<int>(reduce.to)}];
  }
  CHECK_EQ(seen.size(), 12u);
}

// Of the largest row: 2^14 squares of -2^17 are 2^48.
template <typename Acc>
void TestKernels() {
  Generator generator;
  const auto check = [&](const sim::RowShape& shape, Reduce::Op op, const std::vector<Acc>& lanes) {
    const int64_t expected = sim::SelectReduceKernel<Acc>(op, sim::Simd::kPortable)(shape, lanes.data());
    for (const sim::Simd simd : sim::SupportedSimd())
      CHECK_EQ(sim::SelectReduceKernel<Acc>(op, simd)(shape, lanes.data()), expected);
    return expected;
  };
  for (int round = 0; round < 2000; ++round) {
    const size_t lanes = 4 << generator.Any(4), entries = 1 + generator.Any(5);
    const size_t step = lanes * generator.Any(2);
    std::vector<Acc> row(lanes * 16);
    for (Acc& lane : row) {
      lane = static_cast<Acc>(
          generator.Draw(std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()));
      lane >>= generator.Any(20);
    }
    const sim::RowShape shape{entries, step, lanes, 1 + generator.Any(static_cast<int64_t>(lanes) - 1),
                              static_cast<int>(generator.Any(62))};
    for (const Reduce::Op op : {Reduce::Op::kMax, Reduce::Op::kSum, Reduce::Op::kSquares})
      check(shape, op, row);
  }
  const std::vector<Acc> least(64, std::numeric_limits<int32_t>::min());
  const sim::RowShape longest{256, 0, 64, 64, 0};
  CHECK_EQ(check(longest, Reduce::Op::kSquares, least), int64_t{1} << 48);
  CHECK_EQ(check(longest, Reduce::Op::kSum, least), -(int64_t{1} << 45));
  CHECK_EQ(check(longest, Reduce::Op::kMax, least), std::numeric_limits<int32_t>::min());
}

// All lanes -2^17: R = 2^48, times 65535, as far as that fits 32 bits.
void TestTheLargestRow() {
  std::map<std::string, int64_t> values = testing::SmallParams(64);
  values["accumulator_bits"] = 46;
  const sim::Params params = sim::ParseParams(values);
  Reduce reduce = std::get<Reduce>(testing::MakeReduce(Reduce::Op::kSquares, 1, 1, 256).body);
  reduce.last_lanes = 64;
  reduce.to = Reduce::To::kScaled;
  reduce.mult = 65535;
  const isa::Uop uop{1, 0, 0};
  const auto plan = sim::Declared<Reduce>::MakePlan(params, reduce, &uop);
  const auto result = [&](uint32_t exponent) {
    sim::Scratchpads pads(params);
    std::fill_n(pads.acc64.begin(), 64, -(int64_t{1} << 45));
    reduce.exponent = exponent;
    testing::Execute(params, testing::Make(reduce), &pads, nullptr, {plan.get(), true});
    return pads.acc64[64];
  };
  CHECK_EQ(result(33), int64_t{65535} << 15);
  CHECK_EQ(result(32), (int64_t{1} << 31) - 1);
  CHECK_EQ(result(62), 4);
}

// A row's result is what a later row of the instruction reads.
void TestRowsInOrder() {
  const sim::Params params = sim::ParseParams(testing::SmallParams(8));
  Reduce reduce = std::get<Reduce>(testing::MakeReduce(Reduce::Op::kSum, 2, 2, 2).body);
  reduce.inp_in = 1;
  reduce.last_lanes = 8;
  const std::vector<isa::Uop> uops = {{1, 0, 0}, {0, 1, 0}};
  const auto plan = sim::Declared<Reduce>::MakePlan(params, reduce, uops.data());
  sim::Scratchpads pads(params);
  std::fill_n(pads.acc32.begin(), 24, 1);
  testing::Execute(params, testing::Make(reduce), &pads, nullptr, {plan.get(), true});
  // 16 in entry 1, then 8 * 16 + 8 in entry 0; once more 8 * (136 + 16), and 8 * 1216 + 8.
  CHECK_EQ(pads.acc32[8], 1216);
  CHECK_EQ(pads.acc32[0], 9736);
  CHECK_EQ(pads.acc32[16], 1);
}

void TestValuesOutOfRange() {
  std::map<std::string, int64_t> values = testing::SmallParams(4);
  values["par_depth"] = 40;
  const sim::Params params = sim::ParseParams(values);
  Reduce reduce = std::get<Reduce>(testing::MakeReduce(Reduce::Op::kSum, 1, 1, 1).body);
  reduce.tab_base = 3;
  const isa::Uop uop;
  const auto plan = sim::Declared<Reduce>::MakePlan(params, reduce, &uop);
  sim::Scratchpads pads(params);
  pads.par[4 * 4 + 2].clip = 1 << 23;
  const auto run = [&](Reduce::To to) {
    reduce.to = to;
    testing::Execute(params, testing::Make(reduce), &pads, nullptr, {plan.get(), true});
  };
  run(Reduce::To::kValue);
  run(Reduce::To::kScaled);
  CHECK_ERROR(run(Reduce::To::kRsqrt), "par entry 4, lane 2: 8388608 does not fit the 24 bits of a table");
  CHECK_ERROR(run(Reduce::To::kReciprocal), "par entry 4, lane 2: 8388608 does not fit");
}

// Factors have 22 bits, which accumulators of 24 hold; all else may be any int32.
void TestBounds() {
  const sim::Params params = sim::ParseParams(testing::SmallParams(4));
  const auto safe = [&](Reduce::To to, int32_t addend) {
    sim::AccumulatorBounds bounds(params, 8);
    Reduce reduce = std::get<Reduce>(testing::MakeReduce(Reduce::Op::kMax, 1, 1, 1).body);
    reduce.to = to;
    const isa::Uop uop{0, 9, 0};
    const auto plan = sim::Declared<Reduce>::MakePlan(params, reduce, &uop);
    CHECK_EQ(bounds.Visit(params, testing::Make(reduce), plan.get()), true);
    isa::Vec vec = std::get<isa::Vec>(testing::MakeVec(isa::Vec::Op::kAdd, isa::Vec::Src::kImm, 1, 1).body);
    vec.imm = static_cast<uint32_t>(addend);
    const auto sums = sim::Declared<isa::Vec>::MakePlan(params, vec, &uop);
    return bounds.Visit(params, testing::Make(vec), sums.get());
  };
  for (const Reduce::To to : {Reduce::To::kReciprocal, Reduce::To::kRsqrt}) {
    CHECK_EQ(safe(to, (1 << 22) - 1), true);
    CHECK_EQ(safe(to, 1 << 22), false);
  }
  CHECK_EQ(safe(Reduce::To::kValue, 0), false);
  CHECK_EQ(safe(Reduce::To::kScaled, 0), false);
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestAgainstPlainArithmetic();
  tvm_vsq::TestKernels<int32_t>();
  tvm_vsq::TestKernels<int64_t>();
  tvm_vsq::TestTheLargestRow();
  tvm_vsq::TestRowsInOrder();
  tvm_vsq::TestValuesOutOfRange();
  tvm_vsq::TestBounds();
  return tvm_vsq::testing::Result();
}
