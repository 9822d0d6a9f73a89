// Vectors of several entries, which hold the digits of wider elements: every instruction that reads or writes
// them against plain loops over numbers, and the passes of a product together against the product of the
// elements.
#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/cpp/bit_string.h"
#include "tests/cpp/execute.h"
#include "tests/cpp/programs.h"
#include "tests/cpp/rounding.h"
#include "tests/cpp/testing.h"
#include "tvm_vsq/sim/check.h"
#include "tvm_vsq/sim/gemm_kernel.h"
#include "tvm_vsq/sim/gemm_plan.h"
#include "tvm_vsq/sim/ppu.h"

namespace tvm_vsq {
namespace {

using testing::Finish;
using testing::MakeProgram;

class Generator {
 public:
  int64_t Draw(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random_);
  }
  uint32_t Any(int64_t high) { return static_cast<uint32_t>(Draw(0, high)); }

  sim::Params Params() {
    std::map<std::string, int64_t> values = testing::SmallParams(4 << Draw(0, 3));
    const int64_t size = 8 << Draw(0, 2), lanes = values["output_lanes"];
    const int64_t weight = Draw(2, 7), activation = Draw(2, 7);
    const int64_t weight_scale = Any(3) == 0 ? 0 : Draw(1, 5), scale = Any(3) == 0 ? 0 : Draw(1, 5);
    const int64_t shift = Any(1) * Draw(0, weight_scale + scale);
    values["precision_passes"] = Draw(2, 4);
    values["vector_size"] = size;
    values["weight_bits"] = weight;
    values["activation_bits"] = activation;
    values["weight_scale_bits"] = weight_scale;
    values["activation_scale_bits"] = scale;
    values["product_shift"] = shift;
    values["product_bits"] = weight_scale + scale - shift;
    values["accumulator_bits"] = Any(1) == 0 ? 32 : 46;
    for (const char* pad : {"inp", "out", "acc"}) values[std::string(pad) + "_depth"] = 512;
    values["inp_record_bytes"] = values["out_record_bytes"] = (size * activation + scale + 7) / 8;
    values["wgt_record_bytes"] = (lanes * (size * weight + weight_scale) + 7) / 8;
    return sim::ParseParams(values);
  }

  // Anything that entries can hold. Accumulators are so small that nothing overflows.
  sim::Scratchpads Pads(const sim::Params& params) {
    sim::Scratchpads pads(params);
    const auto size = static_cast<size_t>(params.vector_size),
               lanes = static_cast<size_t>(params.output_lanes);
    const auto scale = [&](int64_t bits) {
      return static_cast<int32_t>(bits == 0 ? 1 : Draw(0, (1 << bits) - 1));
    };
    for (uint8_t& code : pads.inp_code)
      code = static_cast<uint8_t>(Draw(0, (1 << params.activation_bits) - 1));
    SetBiased(params, &pads);
    const int64_t half = 1 << (params.weight_bits - 1);
    for (int8_t& element : pads.wgt) element = static_cast<int8_t>(Draw(-half, half - 1));
    for (size_t i = 0; i < pads.wgt.size(); ++i)
      pads.wgt_sum[i / (size * lanes) * lanes + i / 4 % lanes] += pads.wgt[i];
    for (int32_t& s : pads.inp_scale) s = scale(params.activation_scale_bits);
    for (int32_t& s : pads.wgt_scale) s = scale(params.weight_scale_bits);
    for (int32_t& acc : pads.acc32) acc = static_cast<int32_t>(Draw(-9999, 9999));
    for (int64_t& acc : pads.acc64) acc = Draw(-9999, 9999);
    for (sim::ChannelParams& channel : pads.par) {
      channel = {static_cast<uint16_t>(Draw(1, 999)), static_cast<uint8_t>(Draw(0, 9)), Any(9) == 0,
                 static_cast<int32_t>(Draw(-99, 99)), static_cast<int32_t>(Draw(99, 1 << 20))};
    }
    for (uint8_t& code : pads.out) code = static_cast<uint8_t>(Draw(0, (1 << params.activation_bits) - 1));
    for (int32_t& s : pads.out_scale) s = scale(params.activation_scale_bits);
    return pads;
  }

  static void SetBiased(const sim::Params& params, sim::Scratchpads* pads) {
    for (size_t i = 0; i < pads->inp_code.size(); ++i)
      pads->inp_biased[i] = static_cast<uint8_t>(pads->inp_code[i] ^ 1 << (params.activation_bits - 1));
  }

  // Digits less one of elements with up to 8 bits.
  uint32_t Digits(const sim::Params& params, int64_t bits) {
    return static_cast<uint32_t>(Draw(0, std::min(params.precision_passes, (8 + bits - 1) / bits) - 1));
  }

 private:
  std::mt19937 random_{7};
};

int64_t AccOf(const sim::Scratchpads& pads, size_t at) {
  return pads.acc64.empty() ? pads.acc32[at] : pads.acc64[at];
}

void SetAcc(size_t at, int64_t value, sim::Scratchpads* pads) {
  if (pads->acc64.empty()) {
    pads->acc32[at] = static_cast<int32_t>(value);
  } else {
    pads->acc64[at] = value;
  }
}

bool SameAcc(const sim::Scratchpads& a, const sim::Scratchpads& b) {
  return a.acc32 == b.acc32 && a.acc64 == b.acc64;
}

// An element of one entry of inp.
int64_t Activation(const sim::Params& params, const sim::Scratchpads& pads, bool is_unsigned, size_t entry,
                   size_t i) {
  const int code = pads.inp_code[entry * static_cast<size_t>(params.vector_size) + i];
  return is_unsigned ? code : testing::SignExtend(code, static_cast<int>(params.activation_bits));
}

// Of a lane of wgt.
int64_t Weight(const sim::Params& params, const sim::Scratchpads& pads, bool is_unsigned, size_t entry,
               size_t lane, size_t i) {
  const auto size = static_cast<size_t>(params.vector_size), lanes = static_cast<size_t>(params.output_lanes);
  const int element = pads.wgt[entry * size * lanes + i / 4 * lanes * 4 + lane * 4 + i % 4];
  return is_unsigned && element < 0 ? element + (1 << params.weight_bits) : element;
}

int64_t Factor(const sim::Params& params, int64_t a, int64_t b) {
  const int64_t product = testing::RoundHalfUp(a * b, int64_t{1} << params.product_shift);
  return params.product_shift == 0 ? product : std::min(product, (int64_t{1} << params.product_bits) - 1);
}

void TestGemm() {
  Generator generator;
  int planned = 0;
  for (int round = 0; round < 600; ++round) {
    const sim::Params params = generator.Params();
    const auto lanes = static_cast<size_t>(params.output_lanes),
               size = static_cast<size_t>(params.vector_size);
    isa::Gemm gemm;
    gemm.act_unsigned = generator.Any(1) == 1;
    gemm.wgt_unsigned = generator.Any(3) > 0;
    gemm.unscaled = generator.Any(1) == 1;
    gemm.shift = generator.Any(1) * generator.Any(8);
    const uint32_t pixels = 1 + generator.Any(9), steps = 1 + generator.Any(2);
    std::vector<isa::Uop> uops;
    for (uint32_t k = 0; k < steps; ++k) {
      for (uint32_t p = 0; p < pixels; ++p) uops.push_back({p, p + 20 * k, 3 * k});
    }
    gemm.uop_count = static_cast<uint32_t>(uops.size());
    gemm.iter_out = 1 + generator.Any(1);
    gemm.iter_in = 1;
    gemm.acc_out = 20;
    gemm.inp_out = generator.Any(9);
    gemm.wgt_out = generator.Any(9);
    sim::CheckProgram(params, MakeProgram({testing::Make(gemm), Finish()}));
    const sim::Scratchpads before = generator.Pads(params);
    sim::Scratchpads expected = before;
    for (size_t o = 0; o < gemm.iter_out; ++o) {
      for (const isa::Uop& uop : uops) {
        const size_t x = uop.inp + o * gemm.inp_out, w = uop.wgt + o * gemm.wgt_out;
        for (size_t b = 0; b < lanes; ++b) {
          int64_t dot = 0;
          for (size_t i = 0; i < size; ++i)
            dot += Activation(params, before, gemm.act_unsigned, x, i) *
                   Weight(params, before, gemm.wgt_unsigned, w, b, i);
          const int64_t factor =
              gemm.unscaled ? 1 : Factor(params, before.inp_scale[x], before.wgt_scale[w * lanes + b]);
          const size_t at = (uop.acc + o * gemm.acc_out) * lanes + b;
          SetAcc(at, AccOf(expected, at) + dot * factor * (1 << gemm.shift), &expected);
        }
      }
    }
    const sim::GemmPlan plan = sim::MakeGemmPlan(params, gemm, uops.data());
    sim::Scratchpads checked = before;
    testing::Execute(params, testing::Make(gemm), &checked, nullptr, {&plan, false});
    CHECK_EQ(SameAcc(checked, expected), true);
    CHECK_EQ(checked.wgt == before.wgt && checked.wgt_sum == before.wgt_sum, true);
    if (plan.tiles.empty() || params.accumulator_bits > 32) continue;
    ++planned;
    for (const std::string& kernel : sim::GemmKernelNames()) {
      sim::UseGemmKernel(kernel);
      sim::Scratchpads found = before;
      testing::Execute(params, testing::Make(gemm), &found, nullptr, {&plan, true});
      CHECK_EQ(SameAcc(found, expected), true);
    }
  }
  CHECK_EQ(planned > 100, true);
}

// The value of `bits` digits as entries hold them.
int DigitOf(int64_t element, uint32_t digit, int64_t bits) {
  return static_cast<int>(element >> digit * static_cast<uint32_t>(bits)) & ((1 << bits) - 1);
}

// All passes over the digits of two vectors are the product of their elements.
void TestPasses() {
  Generator generator;
  for (int round = 0; round < 400; ++round) {
    const sim::Params params = generator.Params();
    const auto lanes = static_cast<size_t>(params.output_lanes),
               size = static_cast<size_t>(params.vector_size);
    const bool is_unsigned = generator.Any(1) == 1;
    const uint32_t inp_digits = generator.Digits(params, params.activation_bits) + 1;
    const uint32_t wgt_digits = generator.Digits(params, params.weight_bits) + 1;
    const int64_t a_bits = std::min<int64_t>(8, inp_digits * params.activation_bits);
    const int64_t w_bits = std::min<int64_t>(8, wgt_digits * params.weight_bits);
    sim::Scratchpads pads = generator.Pads(params);
    std::vector<int64_t> expected(lanes), activations(size);
    for (int64_t& a : activations)
      a = is_unsigned ? generator.Draw(0, (1 << a_bits) - 1)
                      : generator.Draw(1 - (1 << (a_bits - 1)), (1 << (a_bits - 1)) - 1);
    for (uint32_t digit = 0; digit < inp_digits; ++digit) {
      for (size_t i = 0; i < size; ++i)
        pads.inp_code[digit * size + i] =
            static_cast<uint8_t>(DigitOf(activations[i], digit, params.activation_bits));
    }
    Generator::SetBiased(params, &pads);
    std::fill(pads.wgt_sum.begin(), pads.wgt_sum.end(), 0);
    for (size_t lane = 0; lane < lanes; ++lane) {
      for (size_t i = 0; i < size; ++i) {
        const int64_t w = generator.Draw(1 - (1 << (w_bits - 1)), (1 << (w_bits - 1)) - 1);
        expected[lane] += w * activations[i];
        for (uint32_t digit = 0; digit < wgt_digits; ++digit) {
          const int element = testing::SignExtend(DigitOf(w, digit, params.weight_bits),
                                                  static_cast<int>(params.weight_bits));
          pads.wgt[digit * size * lanes + i / 4 * lanes * 4 + lane * 4 + i % 4] =
              static_cast<int8_t>(element);
          pads.wgt_sum[digit * lanes + lane] += element;
        }
      }
    }
    for (uint32_t x = 0; x < inp_digits; ++x) {
      for (uint32_t w = 0; w < wgt_digits; ++w) {
        isa::Gemm gemm;
        gemm.act_unsigned = is_unsigned || x + 1 < inp_digits;
        gemm.wgt_unsigned = w + 1 < wgt_digits;
        gemm.unscaled = true;
        gemm.shift =
            x * static_cast<uint32_t>(params.activation_bits) + w * static_cast<uint32_t>(params.weight_bits);
        gemm.uop_count = gemm.iter_out = gemm.iter_in = 1;
        gemm.fresh_uops = x + w == 0 ? 1 : 0;
        sim::CheckProgram(params, MakeProgram({testing::Make(gemm), Finish()}));
        const isa::Uop uop{5, x, w};
        const sim::GemmPlan plan = sim::MakeGemmPlan(params, gemm, &uop);
        const bool safe = params.accumulator_bits <= 32 && !plan.tiles.empty() && generator.Any(1) == 1;
        testing::Execute(params, testing::Make(gemm), &pads, nullptr, {&plan, safe});
      }
    }
    for (size_t lane = 0; lane < lanes; ++lane) CHECK_EQ(AccOf(pads, 5 * lanes + lane), expected[lane]);
  }
}

void TestDwconv() {
  Generator generator;
  int threw = 0;
  for (int round = 0; round < 600; ++round) {
    const sim::Params params = generator.Params();
    const auto lanes = static_cast<size_t>(params.output_lanes),
               size = static_cast<size_t>(params.vector_size);
    isa::Dwconv conv;
    conv.act_unsigned = generator.Any(1) == 1;
    conv.wgt_unsigned = generator.Any(1) == 1;
    conv.accumulate = generator.Any(1) == 1;
    conv.shift = generator.Any(2) * generator.Any(4);
    conv.tap_rows = 1 + generator.Any(2);
    conv.tap_columns = 1 + generator.Any(3);
    const size_t group_vectors = std::max<size_t>(1, lanes / size),
                 blocks = std::max<size_t>(1, size / lanes);
    conv.column_step = static_cast<uint32_t>(group_vectors);
    conv.row_step = 4 * conv.column_step;
    conv.uop_count = 1;
    conv.iter_out = 1 + generator.Any(2);
    conv.iter_in = 1 + generator.Any(2);
    conv.inp_out = conv.row_step;
    conv.inp_in = conv.column_step;
    conv.acc_in = static_cast<uint32_t>(blocks);
    conv.acc_out = 3 * conv.acc_in;
    sim::CheckProgram(params, MakeProgram({testing::Make(conv), Finish()}));
    const isa::Uop uop{3, 2, 1};
    const auto plan = sim::Declared<isa::Dwconv>::MakePlan(params, conv, &uop);
    const sim::Scratchpads before = generator.Pads(params);
    sim::Scratchpads expected = before;
    const size_t taps = conv.tap_rows * conv.tap_columns, entries = (taps + size - 1) / size;
    for (size_t o = 0; o < conv.iter_out; ++o) {
      for (size_t n = 0; n < conv.iter_in; ++n) {
        for (size_t c = 0; c < std::max(size, lanes); ++c) {
          int64_t sum = 0;
          for (size_t t = 0; t < taps; ++t) {
            const size_t x = uop.inp + o * conv.inp_out + n * conv.inp_in +
                             t / conv.tap_columns * conv.row_step + t % conv.tap_columns * conv.column_step +
                             c / size;
            const size_t w = uop.wgt + c / lanes * entries + t / size;
            sum += Activation(params, before, conv.act_unsigned, x, c % size) * before.inp_scale[x] *
                   Weight(params, before, conv.wgt_unsigned, w, c % lanes, t % size) *
                   before.wgt_scale[w * lanes + c % lanes];
          }
          const size_t at = (uop.acc + o * conv.acc_out + n * conv.acc_in) * lanes + c;
          SetAcc(at, (conv.accumulate ? AccOf(before, at) : 0) + sum * (1 << conv.shift), &expected);
        }
      }
    }
    for (const bool safe : {true, false}) {
      sim::Scratchpads found = before;
      testing::Execute(params, testing::Make(conv), &found, nullptr, {plan.get(), safe});
      CHECK_EQ(SameAcc(found, expected), true);
    }
    // With fewer bits some sums do not fit.
    sim::Params narrow = params;
    narrow.accumulator_bits = 16;
    bool fits = true;
    const auto last = static_cast<size_t>(conv.acc_out * (conv.iter_out - 1) + conv.acc_in * conv.iter_in);
    for (size_t at = uop.acc * lanes; at < (uop.acc + last) * lanes; ++at)
      fits = fits && AccOf(expected, at) >= -32768 && AccOf(expected, at) < 32768;
    sim::Scratchpads found = before;
    try {
      testing::Execute(narrow, testing::Make(conv), &found, nullptr, {plan.get(), false});
      CHECK_EQ(fits, true);
    } catch (const sim::Error& error) {
      CHECK_EQ(fits, false);
      CHECK_EQ(std::string(error.what()).find("accumulator overflow") != std::string::npos, true);
      ++threw;
    }
  }
  CHECK_EQ(threw > 50, true);
}

// The element that digits in neighbouring entries make; `wide` is set if it has more than 8 bits.
int64_t Joined(const sim::Params& params, const sim::Scratchpads& pads, bool is_unsigned, size_t digits,
               size_t entry, size_t i, bool* wide) {
  int64_t element = 0, unit = 1;
  for (size_t digit = 0; digit < digits; ++digit, unit <<= params.activation_bits)
    element += unit * Activation(params, pads, is_unsigned || digit + 1 < digits, entry + digit, i);
  *wide = *wide || (is_unsigned ? element > 255 : element < -128 || element > 127);
  return element;
}

void TestVec() {
  using Op = isa::Vec::Op;
  Generator generator;
  int refused = 0;
  for (int round = 0; round < 700; ++round) {
    const sim::Params params = generator.Params();
    const auto lanes = static_cast<size_t>(params.output_lanes),
               size = static_cast<size_t>(params.vector_size);
    isa::Vec vec;
    vec.op = std::vector<Op>{Op::kMov, Op::kMax, Op::kMin, Op::kAdd, Op::kMac, Op::kMul}[generator.Any(5)];
    vec.src = isa::Vec::Src::kInp;
    vec.src_unsigned = generator.Any(1) == 1;
    vec.digits = generator.Digits(params, params.activation_bits);
    vec.imm = static_cast<uint32_t>(generator.Draw(-9, 9));
    vec.shift = generator.Any(9);
    const size_t blocks = std::max<size_t>(1, size / lanes), vectors = std::max<size_t>(1, lanes / size);
    const size_t digits = vec.digits + 1;
    vec.skip_blocks = generator.Any(static_cast<int64_t>(blocks) - 1);
    vec.iter_out = 1 + generator.Any(2);
    vec.iter_in = 1 + generator.Any(1);
    vec.acc_in = 30;
    vec.acc_out = 70;
    vec.inp_in = generator.Any(9);
    vec.inp_out = generator.Any(9);
    std::vector<isa::Uop> uops;
    for (uint32_t u = 0; u < 3; ++u)
      uops.push_back({u * static_cast<uint32_t>(blocks), generator.Any(30), 0});
    vec.uop_count = 3;
    sim::CheckProgram(params, MakeProgram({testing::Make(vec), Finish()}));
    sim::Scratchpads before = generator.Pads(params);
    if (generator.Any(1) == 0) {  // so that elements have few bits
      for (uint8_t& code : before.inp_code)
        code = code % 2 == 0 ? 0 : static_cast<uint8_t>((1 << params.activation_bits) - 1);
      if (vec.src_unsigned) std::fill(before.inp_code.begin(), before.inp_code.end(), uint8_t{0});
      Generator::SetBiased(params, &before);
    }
    sim::Scratchpads expected = before;
    bool wide = false;
    for (size_t o = 0; o < vec.iter_out; ++o) {
      for (size_t n = 0; n < vec.iter_in; ++n) {
        for (const isa::Uop& uop : uops) {
          const size_t x = uop.inp + o * vec.inp_out + n * vec.inp_in;
          for (size_t v = 0; v < vectors; ++v) {
            for (size_t i = 0; i < size; ++i)
              Joined(params, before, vec.src_unsigned, digits, x + v * digits, i, &wide);
          }
          for (size_t c = 0; c < (blocks - vec.skip_blocks) * lanes; ++c) {
            const size_t entry = x + c / size * digits;
            const int64_t s = Joined(params, before, vec.src_unsigned, digits, entry, c % size, &wide) *
                              before.inp_scale[entry];
            const size_t at = (uop.acc + o * vec.acc_out + n * vec.acc_in) * lanes + c;
            const int64_t lane = AccOf(expected, at), imm = static_cast<int32_t>(vec.imm);
            const std::map<Op, int64_t> results = {
                {Op::kMov, s},
                {Op::kMax, std::max(lane, s)},
                {Op::kMin, std::min(lane, s)},
                {Op::kAdd, lane + s},
                {Op::kMac, lane + imm * s},
                {Op::kMul, testing::RoundHalfUp(lane * s, int64_t{1} << vec.shift)}};
            SetAcc(at, results.at(vec.op), &expected);
          }
        }
      }
    }
    const auto plan = sim::Declared<isa::Vec>::MakePlan(params, vec, uops.data());
    for (const bool safe : {true, false}) {
      sim::Scratchpads found = before;
      if (wide) {
        CHECK_ERROR(testing::Execute(params, testing::Make(vec), &found, nullptr, {plan.get(), safe}),
                    "which has more than 8 bits");
        ++refused;
        continue;
      }
      testing::Execute(params, testing::Make(vec), &found, nullptr, {plan.get(), safe});
      CHECK_EQ(SameAcc(found, expected), true);
    }
  }
  CHECK_EQ(refused > 50 && refused < 700, true);
}

struct Form {
  int64_t bits, scale_bits, digit_bits;
};

// docs/numerics.md, section 3, and then the digits.
void Quantize(const sim::Params& params, const isa::Ppu& ppu, const Form& form, const std::vector<int64_t>& y,
              size_t entry, sim::Scratchpads* pads) {
  const int64_t high = (int64_t{1} << (form.bits - (ppu.out_unsigned ? 0 : 1))) - 1;
  const int64_t low = ppu.out_unsigned ? 0 : -high;
  int64_t largest = 0;
  for (const int64_t number : y) largest = std::max(largest, std::abs(number));
  const int64_t full = high << params.guard_bits,
                most = form.scale_bits == 0 ? 1 : (1 << form.scale_bits) - 1;
  const int64_t scale = std::clamp<int64_t>((largest + full - 1) / full, 1, most);
  for (uint32_t digit = 0; digit <= ppu.digits; ++digit) {
    for (size_t i = 0; i < y.size(); ++i) {
      const int64_t q = std::clamp(testing::RoundHalfUp(y[i], scale << params.guard_bits), low, high);
      const int64_t shifted = q >> digit * static_cast<uint32_t>(form.digit_bits);
      const int64_t width = digit == ppu.digits ? params.activation_bits : form.digit_bits;
      pads->out[(entry + digit) * y.size() + i] = static_cast<uint8_t>(shifted & ((1 << width) - 1));
    }
    pads->out_scale[entry + digit] = static_cast<int32_t>(scale);
  }
}

// False if a residual has more than 8 bits.
bool Expect(const sim::Params& params, const isa::Ppu& ppu, const sim::Scratchpads& before,
            sim::Scratchpads* after) {
  const auto size = static_cast<size_t>(params.vector_size), lanes = static_cast<size_t>(params.output_lanes);
  const size_t width = ppu.blocks * lanes, digits = ppu.digits + 1, res_digits = ppu.res_digits + 1;
  const size_t vectors = (width + size - 1) / size - (ppu.transpose ? 0 : ppu.skip_vectors);
  const size_t step = vectors + ppu.vector_skip;
  bool wide = false;
  const auto residual = [&](size_t pixel, size_t channel) -> int64_t {
    if (!ppu.residual || channel >= vectors * size) return 0;
    const size_t entry = ppu.res_base + (pixel * step + channel / size) * res_digits;
    const int64_t element =
        Joined(params, before, ppu.res_unsigned, res_digits, entry, channel % size, &wide);
    return testing::RoundHalfUp(element * before.inp_scale[entry] * ppu.res_mult,
                                int64_t{1} << ppu.res_shift);
  };
  const auto y = [&](size_t pixel, size_t channel) -> int64_t {
    if (pixel >= ppu.pixels || channel >= width) return 0;
    const int64_t acc = AccOf(before, (ppu.acc_base + pixel * (ppu.blocks + ppu.acc_skip)) * lanes + channel);
    return sim::PostProcess(acc, before.par[ppu.par_base * lanes + channel], residual(pixel, channel),
                            ppu.relu);
  };
  const int64_t digit_bits = ppu.second ? params.second_bits : params.activation_bits;
  const int64_t scale_bits = ppu.second ? params.second_scale_bits : params.activation_scale_bits;
  const Form form = ppu.out_bits > 0 ? Form{ppu.out_bits, ppu.out_scale_bits, digit_bits}
                                     : Form{digit_bits, scale_bits, digit_bits};
  std::vector<int64_t> numbers(size);
  if (ppu.transpose) {
    const size_t groups = (ppu.pixels + size - 1) / size;
    for (size_t c = 0; c < width - ppu.skip_vectors; ++c) {
      for (size_t g = 0; g < groups; ++g) {
        for (size_t i = 0; i < size; ++i) numbers[i] = y(g * size + i, c);
        Quantize(params, ppu, form, numbers, ppu.out_base + (c * groups + g) * digits, after);
      }
    }
    return true;
  }
  for (size_t pixel = 0; pixel < ppu.pixels; ++pixel) {
    for (size_t j = 0; j < vectors; ++j) {
      for (size_t i = 0; i < size; ++i) numbers[i] = y(pixel, j * size + i);
      // Also of lanes that no block fills.
      if (ppu.residual) {
        for (size_t i = 0; i < size; ++i) residual(pixel, j * size + i);
      }
      if (!ppu.wide) Quantize(params, ppu, form, numbers, ppu.out_base + (pixel * step + j) * digits, after);
    }
    for (size_t c = 0; ppu.wide && c < width; ++c)
      SetAcc((ppu.acc_base + pixel * (ppu.blocks + ppu.acc_skip)) * lanes + c, y(pixel, c), after);
  }
  return !wide;
}

void TestPpu() {
  Generator generator;
  int refused = 0, split = 0;
  for (int round = 0; round < 1500; ++round) {
    const sim::Params params = generator.Params();
    isa::Ppu ppu;
    ppu.second = generator.Any(2) == 0;
    ppu.transpose = generator.Any(3) == 0;
    ppu.wide = !ppu.transpose && generator.Any(5) == 0;
    ppu.residual = !ppu.transpose && generator.Any(1) == 1;
    ppu.res_unsigned = generator.Any(1) == 1;
    ppu.out_unsigned = !ppu.second && generator.Any(1) == 1;
    ppu.relu = generator.Any(1) == 1;
    const int64_t bits = ppu.second ? params.second_bits : params.activation_bits;
    if (!ppu.wide && generator.Any(4) > 0) {
      ppu.digits = generator.Digits(params, bits);
      ppu.out_bits = static_cast<uint32_t>(generator.Draw(std::max<int64_t>(2, ppu.digits * bits + 1),
                                                          std::min<int64_t>(8, (ppu.digits + 1) * bits)));
      ppu.out_scale_bits =
          generator.Any(ppu.second ? params.second_scale_bits : params.activation_scale_bits);
      split += ppu.digits > 0 ? 1 : 0;
    }
    if (ppu.residual) ppu.res_digits = generator.Digits(params, params.activation_bits);
    ppu.res_mult = generator.Any(99);
    ppu.res_shift = generator.Any(5);
    ppu.blocks = 1 + generator.Any(2);
    ppu.pixels = 1 + generator.Any(4);
    ppu.acc_base = generator.Any(20);
    ppu.out_base = generator.Any(9);
    ppu.res_base = generator.Any(9);
    ppu.par_base = generator.Any(4);
    if (!ppu.transpose) {
      ppu.acc_skip = generator.Any(1) * generator.Any(2);
      ppu.vector_skip = generator.Any(1) * generator.Any(2);
    }
    const int64_t per_block = std::max<int64_t>(1, params.output_lanes / params.vector_size);
    ppu.skip_vectors = generator.Any(ppu.transpose ? params.output_lanes - 1 : per_block - 1);
    sim::CheckProgram(params, MakeProgram({testing::Make(ppu), Finish()}));
    sim::Scratchpads before = generator.Pads(params);
    if (generator.Any(1) == 0) {
      std::fill(before.inp_code.begin(), before.inp_code.end(), uint8_t{0});
      for (size_t i = 0; i < before.inp_code.size(); i += 3) before.inp_code[i] = 1;
      if (ppu.res_unsigned && ppu.res_digits > 0)
        std::fill(before.inp_code.begin(), before.inp_code.end(), uint8_t{0});
      Generator::SetBiased(params, &before);
    }
    sim::Scratchpads expected = before, found = before;
    if (!Expect(params, ppu, before, &expected)) {
      CHECK_ERROR(testing::Execute(params, testing::Make(ppu), &found), "which has more than 8 bits");
      ++refused;
      continue;
    }
    testing::Execute(params, testing::Make(ppu), &found);
    CHECK_EQ(found.out == expected.out, true);
    CHECK_EQ(found.out_scale == expected.out_scale, true);
    CHECK_EQ(SameAcc(found, expected), true);
  }
  CHECK_EQ(refused > 25 && split > 250, true);
}

// Digits of -2^(N-1) are no error; unsigned ones are what their bits say, in as many bits as wgt has.
void TestGather() {
  Generator generator;
  for (int round = 0; round < 400; ++round) {
    const sim::Params params = generator.Params();
    const auto lanes = static_cast<size_t>(params.output_lanes),
               size = static_cast<size_t>(params.vector_size);
    isa::Load load;
    load.mem = sim::Pad::kWgt;
    load.gather = true;
    load.gather_unsigned = generator.Any(1) == 1;
    load.lanes = 1 + generator.Any(params.output_lanes - 1);
    load.lane_stride = load.z_size = 1 + generator.Any(2);
    load.x_size = load.y_size = 1;
    load.sram_base = generator.Any(9);
    sim::CheckProgram(params, MakeProgram({testing::Make(load), Finish()}));
    std::vector<uint8_t> dram(65536);
    for (uint8_t& byte : dram) byte = static_cast<uint8_t>(generator.Any(255));
    sim::Scratchpads pads(params);
    testing::Execute(params, testing::Make(load), &pads, &dram);
    const int bits = static_cast<int>(params.second_bits);
    for (size_t z = 0; z < load.z_size; ++z) {
      for (size_t lane = 0; lane < load.lanes; ++lane) {
        const size_t at = (z + lane * load.lane_stride) * static_cast<size_t>(params.second_record_bytes);
        int64_t sum = 0;
        for (size_t i = 0; i < size; ++i) {
          const int code = testing::GetBits(&dram[at], static_cast<int>(i) * bits, bits);
          const bool is_unsigned = load.gather_unsigned;
          CHECK_EQ(Weight(params, pads, is_unsigned, load.sram_base + z, lane, i),
                   is_unsigned ? code : testing::SignExtend(code, bits));
          sum += Weight(params, pads, false, load.sram_base + z, lane, i);
        }
        CHECK_EQ(pads.wgt_sum[(load.sram_base + z) * lanes + lane], sum);
      }
    }
  }
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestGemm();
  tvm_vsq::TestPasses();
  tvm_vsq::TestDwconv();
  tvm_vsq::TestVec();
  tvm_vsq::TestPpu();
  tvm_vsq::TestGather();
  return tvm_vsq::testing::Result();
}
