// VEC against a plain loop, whatever the shape and the format, and what it leaves known of accumulators.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "tests/cpp/bit_string.h"
#include "tests/cpp/execute.h"
#include "tests/cpp/programs.h"
#include "tests/cpp/testing.h"
#include "tvm_vsq/sim/declarations.h"
#include "tvm_vsq/sim/gemm_plan.h"
#include "tvm_vsq/sim/overflow.h"
#include "tvm_vsq/sim/saturation.h"
#include "tvm_vsq/sim/vec_kernel.h"

namespace tvm_vsq {
namespace {

using isa::Vec;

std::vector<int64_t> Accumulators(const sim::Scratchpads& pads) {
  return pads.acc64.empty() ? std::vector<int64_t>(pads.acc32.begin(), pads.acc32.end()) : pads.acc64;
}

class Generator {
 public:
  int64_t Draw(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random_);
  }

  sim::Params Params() {
    std::map<std::string, int64_t> values = testing::SmallParams(4 << Draw(0, 4));
    const int64_t size = 8 << Draw(0, 3), lanes = values["output_lanes"], bits = Draw(2, 8);
    const int64_t scale_bits = Draw(0, 10);
    values["vector_size"] = size;
    values["activation_bits"] = bits;
    values["activation_scale_bits"] = scale_bits;
    values["product_bits"] = 4 + scale_bits;
    values["par_depth"] = 40;
    values["accumulator_bits"] = Draw(0, 1) == 1 ? 32 : 46;
    values["inp_record_bytes"] = values["out_record_bytes"] = (size * bits + scale_bits + 7) / 8;
    values["wgt_record_bytes"] = lanes * (size * 4 + 4) / 8;
    return sim::ParseParams(values);
  }

  // All elements, scales of 0 as in a border, and accumulators that are about as large or fill their bits.
  sim::Scratchpads Pads(const sim::Params& params) {
    sim::Scratchpads pads(params);
    for (size_t i = 0; i < pads.inp_code.size(); ++i) {
      pads.inp_code[i] = static_cast<uint8_t>(Draw(0, (1 << params.activation_bits) - 1));
      pads.inp_biased[i] = static_cast<uint8_t>(pads.inp_code[i] ^ 1 << (params.activation_bits - 1));
    }
    for (int32_t& scale : pads.inp_scale)
      scale = static_cast<int32_t>(Draw(0, (1 << std::max<int64_t>(1, params.activation_scale_bits)) - 1));
    const int64_t limit = int64_t{1} << (Draw(0, 1) == 1 ? params.accumulator_bits - 1 : 12);
    for (int32_t& acc : pads.acc32) acc = static_cast<int32_t>(Draw(-limit, limit - 1));
    for (int64_t& acc : pads.acc64) acc = Draw(-limit, limit - 1);
    for (sim::ChannelParams& lane : pads.par) {
      const int64_t most = 1 << (Draw(0, 1) == 1 ? 23 : 12);
      lane.bias = static_cast<int32_t>(Draw(-most, most - 1));
      lane.clip = static_cast<int32_t>(Draw(-most, most - 1));
    }
    return pads;
  }

  // Up to the last entry of the scratchpads.
  Vec Instruction(const sim::Params& params, std::vector<isa::Uop>* uops) {
    const auto any = [&](int64_t high) { return static_cast<uint32_t>(Draw(0, high)); };
    Vec vec;
    vec.op = Vec::Op{static_cast<uint8_t>(any(8))};
    vec.shift = any(3) == 0 ? any(62) : any(24);
    vec.src = Vec::Src{static_cast<uint8_t>(any(vec.op == Vec::Op::kMul ? 1 : 2))};
    if (vec.op == Vec::Op::kMac) vec.src = Vec::Src::kInp;
    const bool reads_none = vec.op == Vec::Op::kTable || vec.op == Vec::Op::kSub || vec.op == Vec::Op::kScale;
    if (reads_none && vec.src == Vec::Src::kInp) vec.src = Vec::Src::kImm;
    vec.tab_base = any(params.par_depth - static_cast<int64_t>(sim::Declared<Vec>::TableEntries(params)));
    vec.src_unsigned = any(1) == 1;
    vec.iter_out = 1 + any(3);
    vec.iter_in = 1 + any(3);
    for (uint32_t Vec::* step : {&Vec::acc_out, &Vec::acc_in, &Vec::inp_out, &Vec::inp_in})
      vec.*step = any(5);
    const int64_t imms[] = {-1,
                            0,
                            1,
                            Draw(-5000, 5000),
                            std::numeric_limits<int32_t>::min(),
                            std::numeric_limits<int32_t>::max()};
    // An element times its scale has at most 18 bits, and accumulators have 32.
    vec.imm = static_cast<uint32_t>(imms[any(vec.op == Vec::Op::kMac ? 3 : 5)]);
    const auto index = [&](uint32_t out, uint32_t in, int64_t width) {
      const int64_t last = 64 - width - (vec.iter_out - 1) * out - (vec.iter_in - 1) * in;
      return any(3) == 0 ? static_cast<uint32_t>(last) : any(last);
    };
    const int64_t size = params.vector_size, lanes = params.output_lanes;
    for (int64_t left = Draw(1, 10); left > 0; --left) {
      const int64_t width = vec.src == Vec::Src::kAcc ? size / lanes : lanes / size;
      uops->push_back({index(vec.acc_out, vec.acc_in, std::max<int64_t>(1, size / lanes)),
                       index(vec.inp_out, vec.inp_in, std::max<int64_t>(1, width)), 0});
    }
    vec.uop_count = static_cast<uint32_t>(uops->size());
    return vec;
  }

 private:
  std::mt19937 random_{1};
};

// rhu(a * b, 2^shift); sets `overflows`, and gives 0, if the product has more than 62 bits.
int64_t Product(int64_t a, int64_t b, int shift, bool* overflows) {
  __extension__ using Wide = __int128;
  const Wide product = Wide{a} * b, limit = Wide{1} << 62;
  if (product <= -limit || product >= limit) {
    *overflows = true;
    return 0;
  }
  const Wide unit = Wide{1} << shift, doubled = 2 * product + unit;
  const Wide whole = doubled / (2 * unit);
  return static_cast<int64_t>(whole - (doubled % (2 * unit) < 0 ? 1 : 0));
}

// Of a table of 128 segments, whose values are biases and slopes clips.
int64_t Value(int64_t x, const sim::ChannelParams* table) {
  const double t = static_cast<double>(std::min<int64_t>(std::max<int64_t>(x, -32768), 32767)) + 32768;
  const double segment = std::floor(t / 512);
  const sim::ChannelParams& found = table[static_cast<size_t>(segment)];
  return found.bias + static_cast<int64_t>(std::floor(found.clip * (t - 512 * segment) / 512 + 0.5));
}

// The nearest number that 32 bits hold.
int64_t Saturated(int64_t number) {
  const int64_t high = (int64_t{1} << 31) - 1, low = -high - 1;
  return number > high ? high : number < low ? low : number;
}

// Sets `overflows` if a result leaves accumulator_bits.
std::vector<int64_t> Expected(const sim::Params& params, const Vec& vec, const std::vector<isa::Uop>& uops,
                              const sim::Scratchpads& pads, bool* overflows) {
  const int64_t limit = int64_t{1} << (params.accumulator_bits - 1);
  std::vector<int64_t> acc = Accumulators(pads);
  const auto size = static_cast<size_t>(params.vector_size), lanes = static_cast<size_t>(params.output_lanes);
  for (size_t o = 0; o < vec.iter_out; ++o) {
    for (size_t i = 0; i < vec.iter_in; ++i) {
      for (const isa::Uop& uop : uops) {
        const std::vector<int64_t> before = acc;  // a group is read before it is written
        for (size_t c = 0; c < size || c < lanes; ++c) {
          int64_t& lane = acc[(uop.acc + o * vec.acc_out + i * vec.acc_in) * lanes + c];
          int64_t s = static_cast<int32_t>(vec.imm);
          if (vec.src == Vec::Src::kInp) {
            const size_t vector = uop.inp + o * vec.inp_out + i * vec.inp_in + c / size;
            const int code = pads.inp_code[vector * size + c % size];
            s = vec.src_unsigned ? code : testing::SignExtend(code, static_cast<int>(params.activation_bits));
            s *= pads.inp_scale[vector];
          }
          const bool is_acc = vec.src == Vec::Src::kAcc;
          if (is_acc) s = before[(uop.inp + o * vec.inp_out + i * vec.inp_in) * lanes + c];
          const auto shift = static_cast<int>(vec.shift);
          switch (vec.op) {
            case Vec::Op::kMov:
              lane = s;
              break;
            case Vec::Op::kMax:
              lane = s > lane ? s : lane;
              break;
            case Vec::Op::kMin:
              lane = s < lane ? s : lane;
              break;
            case Vec::Op::kAdd:
              lane = is_acc ? Saturated(lane + s) : lane + s;
              break;
            case Vec::Op::kMac:
              lane += int64_t{static_cast<int32_t>(vec.imm)} * s;
              break;
            case Vec::Op::kMul:
              lane = Product(lane, s, shift, overflows);
              break;
            case Vec::Op::kTable:
              lane = Value(Product(lane - s, 1, shift, overflows), &pads.par[vec.tab_base * lanes]);
              break;
            case Vec::Op::kSub:
              lane = Saturated(lane - s);
              break;
            case Vec::Op::kScale:
              lane = Saturated(Product(lane, s & 65535, static_cast<int>((s >> 16) & 63), overflows));
          }
          *overflows = *overflows || lane < -limit || lane >= limit;
        }
      }
    }
  }
  return acc;
}

// What the kernels of `simd` leave, which look for no overflow.
template <typename Acc>
std::vector<int64_t> OfKernels(const sim::Params& params, const Vec& vec, const sim::MicroOpPlan& plan,
                               const sim::Scratchpads& pads, std::vector<Acc> acc, sim::Simd simd) {
  const auto size = static_cast<size_t>(params.vector_size), lanes = static_cast<size_t>(params.output_lanes);
  const auto imm = static_cast<int32_t>(vec.imm);
  std::vector<int32_t> values, slopes;
  for (size_t i = 0; vec.op == Vec::Op::kTable && i < 128; ++i) {
    values.push_back(pads.par[vec.tab_base * lanes + i].bias);
    slopes.push_back(pads.par[vec.tab_base * lanes + i].clip);
  }
  const std::vector<uint8_t>& codes = vec.src_unsigned ? pads.inp_code : pads.inp_biased;
  const sim::VecOperands operands{vec.src == Vec::Src::kInp ? codes.data() : nullptr,
                                  pads.inp_scale.data(),
                                  1,
                                  vec.src_unsigned ? 0 : 1 << (params.activation_bits - 1),
                                  imm,
                                  vec.op == Vec::Op::kMac ? imm : 1,
                                  static_cast<int>(vec.shift),
                                  sim::kSaturationLimit,
                                  values.data(),
                                  slopes.data(),
                                  size,
                                  lanes,
                                  std::max(size, lanes),
                                  plan.uops.data(),
                                  plan.uops.size(),
                                  vec.iter_in,
                                  vec.inp_in,
                                  vec.acc_in};
  for (size_t o = 0; o < vec.iter_out; ++o)
    sim::SelectVecKernel<Acc>(vec.op, simd)(operands, o * vec.inp_out,
                                            vec.src == Vec::Src::kAcc ? acc.data() : nullptr,
                                            &acc[o * vec.acc_out * lanes]);
  return {acc.begin(), acc.end()};
}

void TestAgainstAPlainLoop() {
  Generator generator;
  int overflowing = 0;
  for (int round = 0; round < 4000; ++round) {
    const sim::Params params = generator.Params();
    std::vector<isa::Uop> uops;
    const Vec vec = generator.Instruction(params, &uops);
    const sim::Scratchpads before = generator.Pads(params);
    sim::Scratchpads after = before;
    const auto plan = sim::Declared<Vec>::MakePlan(params, vec, uops.data());
    bool overflows = false;
    const std::vector<int64_t> expected = Expected(params, vec, uops, before, &overflows);
    if (overflows) {
      ++overflowing;
      CHECK_ERROR(testing::Execute(params, testing::Make(vec), &after, nullptr, {plan.get(), false}),
                  "accumulator overflow: micro-op");
      continue;
    }
    testing::Execute(params, testing::Make(vec), &after, nullptr, {plan.get(), round % 2 == 0});
    CHECK_EQ(Accumulators(after) == expected, true);
    for (const sim::Simd simd : sim::SupportedSimd()) {
      const std::vector<int64_t> found = before.acc64.empty()
                                             ? OfKernels(params, vec, *plan, before, before.acc32, simd)
                                             : OfKernels(params, vec, *plan, before, before.acc64, simd);
      CHECK_EQ(found == expected, true);
    }
  }
  CHECK_EQ(overflowing > 50, true);
}

// Two micro-ops on two groups of two entries each: the second one of the second iteration is one too much.
void TestOverflow() {
  const sim::Params params = sim::ParseParams(testing::SmallParams(4));
  Vec vec = std::get<Vec>(testing::MakeVec(Vec::Op::kAdd, Vec::Src::kImm, 2, 3).body);
  vec.uop_begin = 5;
  vec.imm = 1;
  const std::vector<isa::Uop> uops = {{0, 0, 0}, {8, 0, 0}};
  sim::Scratchpads pads(params);
  std::fill(pads.acc32.begin(), pads.acc32.end(), 0);
  pads.acc32[9 * 4 + 3] = (1 << 23) - 2;
  const auto plan = sim::Declared<Vec>::MakePlan(params, vec, uops.data());
  CHECK_ERROR(
      testing::Execute(params, testing::Make(vec), &pads, nullptr, {plan.get(), false}),
      "accumulator overflow: micro-op 6 at outer iteration 1, inner 0 brings the channel group from acc "
      "entry 8 on outside 24 bits");
}

// Accumulators of 24 bits hold any int32 where a number saturates.
void TestSaturation() {
  const sim::Params params = sim::ParseParams(testing::SmallParams(8));
  constexpr int64_t kHigh = std::numeric_limits<int32_t>::max(), kLow = std::numeric_limits<int32_t>::min();
  const isa::Uop uop{0, 1, 0};
  const auto check = [&](Vec::Op op, int64_t lane, int64_t s, int64_t expected) {
    Vec vec = std::get<Vec>(testing::MakeVec(op, Vec::Src::kAcc, 1, 1).body);
    const auto plan = sim::Declared<Vec>::MakePlan(params, vec, &uop);
    for (const bool safe : {false, true}) {
      sim::Scratchpads pads(params);
      std::fill_n(pads.acc32.begin(), 8, static_cast<int32_t>(lane));
      std::fill_n(pads.acc32.begin() + 8, 8, static_cast<int32_t>(s));
      testing::Execute(params, testing::Make(vec), &pads, nullptr, {plan.get(), safe});
      CHECK_EQ(pads.acc32[7], expected);
    }
  };
  check(Vec::Op::kAdd, kHigh, 1, kHigh);
  check(Vec::Op::kAdd, kLow, -1, kLow);
  check(Vec::Op::kAdd, kLow, kHigh, -1);
  check(Vec::Op::kSub, kHigh, kLow, kHigh);
  check(Vec::Op::kSub, -2, kHigh, kLow);
  check(Vec::Op::kSub, -1, kHigh, kLow);
  check(Vec::Op::kScale, kHigh, 65535 | 15 << 16, kHigh);
  check(Vec::Op::kScale, kLow, 32768 | 15 << 16, kLow);
  check(Vec::Op::kScale, -5, 1 | 1 << 16, -2);
  check(Vec::Op::kScale, kHigh, 65535 | 62 << 16, 0);
  check(Vec::Op::kMov, 0, kLow, kLow);
}

// Of two groups that share entries, all lanes of the one that is read are read first.
void TestGroupsThatOverlap() {
  const sim::Params params = sim::ParseParams(testing::SmallParams(4));
  Vec vec = std::get<Vec>(testing::MakeVec(Vec::Op::kMov, Vec::Src::kAcc, 1, 1).body);
  const isa::Uop uop{1, 0, 0};
  const auto plan = sim::Declared<Vec>::MakePlan(params, vec, &uop);
  for (const bool safe : {false, true}) {
    sim::Scratchpads pads(params);
    for (int i = 0; i < 12; ++i) pads.acc32[static_cast<size_t>(i)] = i;
    testing::Execute(params, testing::Make(vec), &pads, nullptr, {plan.get(), safe});
    for (int i = 0; i < 12; ++i) CHECK_EQ(pads.acc32[static_cast<size_t>(i)], i < 4 ? i : i - 4);
  }
}

void TestValuesOutOfRange() {
  std::map<std::string, int64_t> values = testing::SmallParams(4);
  values["par_depth"] = 40;
  const sim::Params params = sim::ParseParams(values);
  Vec vec = std::get<Vec>(testing::MakeVec(Vec::Op::kTable, Vec::Src::kImm, 1, 1).body);
  vec.tab_base = 3;
  const isa::Uop uop;
  const auto plan = sim::Declared<Vec>::MakePlan(params, vec, &uop);
  sim::Scratchpads pads(params);
  pads.par[4 * 4 + 2].clip = 1 << 23;
  CHECK_ERROR(testing::Execute(params, testing::Make(vec), &pads, nullptr, {plan.get(), false}),
              "par entry 4, lane 2: 8388608 does not fit the 24 bits of a table");
  pads.par[4 * 4 + 2].clip = (1 << 23) - 1;
  pads.par[3 * 4].bias = -(1 << 23) - 1;
  CHECK_ERROR(testing::Execute(params, testing::Make(vec), &pads, nullptr, {plan.get(), false}),
              "par entry 3, lane 0: -8388609 does not fit");
}

// Bounds of accumulators of 24 bits, in groups of two entries. A GEMM of 38 steps adds up to 8208000 to entry
// 1 (test_gemm.cc), which leaves 180607.
class Known {
 public:
  Known() : params_(sim::ParseParams(testing::SmallParams(4))), bounds_(params_, 8) {}

  // On the group of entry 0.
  Known& Visit(Vec::Op op, Vec::Src src, int32_t imm = 0, uint32_t iter_out = 1, bool safe = true,
               uint32_t shift = 0, uint32_t source = 0) {
    Vec vec = std::get<Vec>(testing::MakeVec(op, src, 1, iter_out).body);
    vec.iter_in = iter_out;
    vec.src_unsigned = true;
    vec.imm = static_cast<uint32_t>(imm);
    vec.shift = shift;
    const isa::Uop uop{0, source, 0};
    const auto plan = sim::Declared<Vec>::MakePlan(params_, vec, &uop);
    CHECK_EQ(bounds_.Visit(params_, testing::Make(vec), plan.get()), safe);
    return *this;
  }
  Known& AnyInt32(uint32_t entry = 0) {
    isa::Ppu ppu;
    ppu.acc_base = entry;
    ppu.wide = true;
    ppu.pixels = 2;
    ppu.blocks = 1;
    bounds_.Visit(params_, testing::Make(ppu), nullptr);
    return *this;
  }
  bool Safe() {
    isa::Gemm gemm = std::get<isa::Gemm>(testing::MakeGemm(false, 1, 38).body);
    gemm.act_unsigned = true;
    const isa::Uop uop{1, 0, 0};
    const sim::GemmPlan plan = sim::MakeGemmPlan(params_, gemm, &uop);
    return bounds_.Visit(params_, testing::Make(gemm), &plan);
  }

 private:
  const sim::Params params_;
  sim::AccumulatorBounds bounds_;
};

void TestBounds() {
  constexpr Vec::Op kMov = Vec::Op::kMov, kMax = Vec::Op::kMax, kAdd = Vec::Op::kAdd, kMac = Vec::Op::kMac,
                    kMin = Vec::Op::kMin, kMul = Vec::Op::kMul;
  constexpr Vec::Src kInp = Vec::Src::kInp, kImm = Vec::Src::kImm;
  CHECK_EQ(Known().Visit(kMov, kImm, 180607).Safe(), true);
  CHECK_EQ(Known().Visit(kMov, kImm, 180608).Safe(), false);
  CHECK_EQ(Known().Visit(kMov, kImm, -180607).Safe(), true);
  CHECK_EQ(Known().Visit(kMov, kImm, -180608).Safe(), false);
  // The larger of two is no larger than both; elements times scales are at most 15 * 15.
  CHECK_EQ(Known().Visit(kMov, kInp).Visit(kMax, kImm, 180607).Safe(), true);
  CHECK_EQ(Known().Visit(kMov, kInp).Visit(kMax, kImm, 180608).Safe(), false);
  CHECK_EQ(Known().Visit(kMov, kImm, 180607).Visit(kMax, kInp).Safe(), true);
  CHECK_EQ(Known().Visit(kMov, kImm, 180608).Visit(kMax, kInp).Safe(), false);
  CHECK_EQ(Known().AnyInt32().Visit(kMax, kInp).Safe(), false);
  CHECK_EQ(Known().AnyInt32().Visit(kMov, kInp).Safe(), true);
  CHECK_EQ(Known().AnyInt32().Visit(kMin, kInp).Safe(), false);
  CHECK_EQ(Known().Visit(kMov, kInp).Visit(kMin, kImm, -180607).Safe(), true);
  CHECK_EQ(Known().Visit(kMov, kInp).Visit(kMin, kImm, -180608).Safe(), false);
  // Sums add up, as often as loops that stay at their accumulators run: 225 * 802 = 180450.
  CHECK_EQ(Known().Visit(kMov, kImm, 180382).Visit(kAdd, kInp).Safe(), true);
  CHECK_EQ(Known().Visit(kMov, kImm, 180383).Visit(kAdd, kInp).Safe(), false);
  CHECK_EQ(Known().Visit(kMov, kImm, 0).Visit(kAdd, kImm, -180607).Safe(), true);
  CHECK_EQ(Known().Visit(kMov, kImm, 0).Visit(kAdd, kImm, -180608).Safe(), false);
  CHECK_EQ(Known().Visit(kMov, kImm, 157).Visit(kMac, kInp, -802).Safe(), true);
  CHECK_EQ(Known().Visit(kMov, kImm, 158).Visit(kMac, kInp, -802).Safe(), false);
  CHECK_EQ(Known().Visit(kMov, kImm, 7).Visit(kAdd, kImm, 7224, 5).Safe(), true);
  CHECK_EQ(Known().Visit(kMov, kImm, 8).Visit(kAdd, kImm, 7224, 5).Safe(), false);
  // A sum that may not fit is looked for, and leaves anything that fits.
  CHECK_EQ(Known().Visit(kMov, kImm, 8388382).Visit(kAdd, kInp).Visit(kMov, kInp).Safe(), true);
  CHECK_EQ(Known().Visit(kMov, kImm, 8388383).Visit(kAdd, kInp, 0, 1, false).Safe(), false);
  CHECK_EQ(Known().AnyInt32().Visit(kAdd, kInp, 0, 1, false).Safe(), false);
  CHECK_EQ(Known().Visit(kMov, kImm, 0).Visit(kMac, kInp, 37282, 1023, false).Safe(), false);
  // Products: 802 * 225 = 180450, 803 * 225 = 180675; and 1605 * 225 / 2 = 180562.5 is rounded up.
  CHECK_EQ(Known().Visit(kMov, kImm, -802).Visit(kMul, kInp).Safe(), true);
  CHECK_EQ(Known().Visit(kMov, kImm, 803).Visit(kMul, kInp).Safe(), false);
  CHECK_EQ(Known().Visit(kMov, kImm, 1605).Visit(kMul, kInp, 0, 1, true, 1).Visit(kAdd, kImm, 44).Safe(),
           true);
  CHECK_EQ(Known().Visit(kMov, kImm, 1605).Visit(kMul, kInp, 0, 1, true, 1).Visit(kAdd, kImm, 45).Safe(),
           false);
  // Four visits multiply four times: 52 * 7^4 = 124852.
  CHECK_EQ(Known().Visit(kMov, kImm, 52).Visit(kMul, kImm, -7, 2).Visit(kAdd, kImm, 55755).Safe(), true);
  CHECK_EQ(Known().Visit(kMov, kImm, 52).Visit(kMul, kImm, -7, 2).Visit(kAdd, kImm, 55756).Safe(), false);
  CHECK_EQ(Known().Visit(kMov, kImm, 37283).Visit(kMul, kInp, 0, 1, false).Safe(), false);
  CHECK_EQ(Known().AnyInt32().Visit(kMul, kImm, std::numeric_limits<int32_t>::min(), 1, false, 62).Safe(),
           false);
  CHECK_EQ(Known().AnyInt32().Visit(kMul, kInp, 0, 1, true, 20).Safe(), false);
  CHECK_EQ(Known().AnyInt32().Visit(kMul, kInp, 0, 1, true, 22).Safe(), true);
  // What saturates never overflows, and leaves anything.
  constexpr Vec::Src kAcc = Vec::Src::kAcc;
  for (const Vec::Op op : {kAdd, Vec::Op::kSub, Vec::Op::kScale}) {
    CHECK_EQ(Known().AnyInt32().Visit(op, kAcc).Visit(kMov, kInp).Safe(), true);
    CHECK_EQ(Known().Visit(kMov, kImm, 0).Visit(op, kAcc).Safe(), false);
  }
  // What is moved or compared is as large as the largest that is read.
  CHECK_EQ(Known().Visit(kMov, kImm, 180607).Visit(kMov, kAcc).Safe(), true);
  CHECK_EQ(Known().Visit(kMov, kImm, 180608).Visit(kMov, kAcc).Safe(), false);
  CHECK_EQ(Known().AnyInt32(4).Visit(kMov, kImm, 0).Visit(kMov, kAcc, 0, 1, true, 0, 4).Safe(), false);
  CHECK_EQ(Known().AnyInt32(4).Visit(kMov, kImm, 0).Visit(kMax, kAcc, 0, 1, true, 0, 4).Safe(), false);
  CHECK_EQ(Known().AnyInt32(4).Visit(kMov, kImm, 0).Visit(kMin, kAcc, 0, 1, true, 0, 6).Safe(), true);
  // A table may give up to 24 bits, which is too much here; a slope adds nearly as much as it is.
  CHECK_EQ(Known().Visit(kMov, kImm, 0).Visit(Vec::Op::kTable, kImm, 0, 1, false).Safe(), false);
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestAgainstAPlainLoop();
  tvm_vsq::TestOverflow();
  tvm_vsq::TestSaturation();
  tvm_vsq::TestGroupsThatOverlap();
  tvm_vsq::TestValuesOutOfRange();
  tvm_vsq::TestBounds();
  return tvm_vsq::testing::Result();
}
