// The kernel equals a direct sum, and stops at an overflow.
#include <limits>
#include <random>
#include <vector>

#include "tests/cpp/testing.h"
#include "tvm_vsq/sim/gemm_kernel.h"

namespace tvm_vsq {
namespace {

constexpr size_t kEntries = 5;

struct Data {
  std::vector<sim::Uop> uops;
  std::vector<uint8_t> inp;
  std::vector<int8_t> wgt;
  std::vector<int32_t> inp_scale, wgt_scale;
  std::vector<int64_t> acc;
};

Data RandomData(int size, int lanes, std::mt19937* random) {
  const auto draw = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(*random); };
  const auto v = static_cast<size_t>(size), b = static_cast<size_t>(lanes);
  Data data;
  for (int i = 0; i < 40; ++i) {
    sim::Uop uop;
    uop.acc = static_cast<uint32_t>(draw(0, kEntries - 1));
    uop.inp = static_cast<uint32_t>(draw(0, kEntries - 1));
    uop.wgt = static_cast<uint32_t>(draw(0, kEntries - 1));
    data.uops.push_back(uop);
  }
  for (size_t i = 0; i < kEntries * v; ++i) data.inp.push_back(static_cast<uint8_t>(draw(0, 255)));
  for (size_t i = 0; i < kEntries * v * b; ++i) data.wgt.push_back(static_cast<int8_t>(draw(-128, 127)));
  for (size_t i = 0; i < kEntries; ++i) data.inp_scale.push_back(draw(0, 1023));
  for (size_t i = 0; i < kEntries * b; ++i) data.wgt_scale.push_back(draw(0, 1023));
  for (size_t i = 0; i < kEntries * b; ++i) data.acc.push_back(draw(-1000000, 1000000));
  return data;
}

sim::GemmOperands<int64_t> Operands(Data* data, int size, int lanes, int inp_bias, int product_shift,
                                    int accumulator_bits) {
  sim::GemmOperands<int64_t> g{};
  g.inp_bias = inp_bias;
  g.uops = data->uops.data();
  g.count = data->uops.size();
  g.inp = data->inp.data();
  g.inp_scale = data->inp_scale.data();
  g.wgt = data->wgt.data();
  g.wgt_scale = data->wgt_scale.data();
  g.acc = data->acc.data();
  g.vector_size = size;
  g.output_lanes = lanes;
  g.product_shift = product_shift;
  g.product_max = product_shift > 0 ? (1 << (20 - product_shift)) - 1 : std::numeric_limits<int>::max();
  g.accumulator_bits = accumulator_bits;
  return g;
}

void Reference(const sim::GemmOperands<int64_t>& g) {
  const auto v = static_cast<size_t>(g.vector_size), lanes = static_cast<size_t>(g.output_lanes);
  for (size_t u = 0; u < g.count; ++u) {
    const sim::Uop& uop = g.uops[u];
    for (size_t b = 0; b < lanes; ++b) {
      int64_t dot = 0;
      for (size_t i = 0; i < v; ++i) {
        dot += int64_t{g.inp[uop.inp * v + i] - g.inp_bias} *
               g.wgt[uop.wgt * v * lanes + i / 4 * 4 * lanes + 4 * b + i % 4];
      }
      int64_t product = int64_t{g.inp_scale[uop.inp]} * g.wgt_scale[uop.wgt * lanes + b];
      for (int s = 0; s + 1 < g.product_shift; ++s) product >>= 1;
      if (g.product_shift > 0) product = std::min<int64_t>((product + 1) >> 1, g.product_max);
      g.acc[uop.acc * lanes + b] += dot * product;
    }
  }
}

void TestKernels() {
  std::mt19937 random(1);
  for (const int size : {8, 16, 32, 64}) {
    for (const int lanes : {4, 8, 16, 32, 64}) {
      for (const int shift : {0, 1, 7, 19}) {
        for (const int bias : {0, 128}) {
          Data expected = RandomData(size, lanes, &random), result = expected;
          Reference(Operands(&expected, size, lanes, bias, shift, 46));
          CHECK_EQ(sim::RunGemm(Operands(&result, size, lanes, bias, shift, 46)), 40u);
          CHECK_EQ(result.acc == expected.acc, true);
        }
      }
    }
  }
}

// Both limits are inside; one more is outside, in any lane.
void TestOverflow() {
  for (const int lanes : {4, 8, 16, 32, 64}) {
    for (int lane = 0; lane < lanes; ++lane) {
      for (const int sign : {1, -1}) {
        Data data;
        data.uops.resize(3);
        data.inp.assign(8, 0);
        data.inp[7] = 1;
        data.wgt.assign(static_cast<size_t>(8 * lanes), 0);
        data.wgt[static_cast<size_t>(4 * lanes + 4 * lane + 3)] = static_cast<int8_t>(sign);
        data.inp_scale = {1};
        data.wgt_scale.assign(static_cast<size_t>(lanes), 1);
        data.acc.assign(static_cast<size_t>(lanes), 0);
        const int64_t limit = sign > 0 ? 32767 : -32768;
        data.acc[static_cast<size_t>(lane)] = limit - 2 * sign;
        CHECK_EQ(sim::RunGemm(Operands(&data, 8, lanes, 0, 0, 16)), 2u);  // the third micro-op
        CHECK_EQ(data.acc[static_cast<size_t>(lane)], limit + sign);
      }
    }
  }
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestKernels();
  tvm_vsq::TestOverflow();
  return tvm_vsq::testing::Result();
}
