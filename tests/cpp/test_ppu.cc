// PPU kernels of every instruction set against docs/numerics.md, sections 3 and 5, in wide integers.
#include <limits>
#include <random>
#include <vector>

#include "tests/cpp/execute.h"
#include "tests/cpp/programs.h"
#include "tests/cpp/rounding.h"
#include "tests/cpp/testing.h"
#include "tvm_vsq/sim/ppu.h"
#include "tvm_vsq/sim/ppu_kernel.h"

namespace tvm_vsq {
namespace {

using testing::RoundHalfUp;

constexpr int32_t kMax = std::numeric_limits<int32_t>::max(), kMin = std::numeric_limits<int32_t>::min();

template <typename Acc>
struct Case {
  std::vector<Acc> acc;
  std::vector<sim::ChannelParams> channels;
  std::vector<uint8_t> residual, out;
  std::vector<int32_t> residual_scale, out_scale;
  sim::PpuOperands<Acc> operands{};

  Case(const sim::Params& params, std::mt19937* random) {
    const auto draw = [&](int64_t low, int64_t high) {
      return std::uniform_int_distribution<int64_t>(low, high)(*random);
    };
    const auto size = static_cast<size_t>(params.vector_size);
    // Kernels take up to sixteen vectors at a time.
    operands.pixels = static_cast<size_t>(draw(0, 3) == 0 ? draw(1, 40) : draw(1, 3));
    operands.vectors = static_cast<size_t>(draw(1, 3));
    operands.vector_size = static_cast<int>(size);
    operands.relu = draw(0, 1) == 1;
    operands.wide = draw(0, 3) == 0;
    operands.format = sim::VectorFormat(params, draw(0, 1) == 1);
    const size_t vectors = operands.pixels * operands.vectors;
    const int64_t acc_limit = sizeof(Acc) == 4 ? int64_t{1} << 31 : int64_t{1} << 45;
    // Small magnitudes too, so that not every vector saturates.
    const int acc_shift = static_cast<int>(draw(0, 24));
    for (size_t i = 0; i < vectors * size; ++i) {
      const bool edge = draw(0, 19) == 0;
      acc.push_back(static_cast<Acc>(edge ? draw(0, 1) * (2 * acc_limit - 1) - acc_limit
                                          : draw(-acc_limit, acc_limit - 1) >> acc_shift));
      residual.push_back(static_cast<uint8_t>(draw(0, (1 << params.activation_bits) - 1)));
    }
    for (size_t i = 0; i < operands.vectors * size; ++i) {
      sim::ChannelParams channel;
      // A power of two makes ties.
      channel.mult = static_cast<uint16_t>(draw(0, 2) == 0 ? int64_t{1} << draw(0, 15) : draw(0, 65535));
      channel.shift = static_cast<uint8_t>(draw(0, 5) == 0 ? draw(0, 62) : draw(12, 30));
      channel.bias = static_cast<int32_t>(draw(0, 5) == 0 ? draw(kMin, kMax) : draw(-1000, 1000));
      channel.clip = static_cast<int32_t>(draw(0, 3) == 0 ? draw(-1000, 1000) : kMax);
      channels.push_back(channel);
    }
    for (size_t i = 0; i < vectors; ++i) {
      residual_scale.push_back(static_cast<int32_t>(draw(0, 1023)));
    }
    out.resize(vectors * size);
    out_scale.resize(vectors);
    if (draw(0, 1) == 1) {
      operands.res_bias = draw(0, 1) == 1 ? 1 << (params.activation_bits - 1) : 0;
      operands.res_mult = static_cast<int32_t>(draw(0, 2) == 0 ? int64_t{1} << draw(0, 15) : draw(0, 65535));
      operands.res_shift = static_cast<int32_t>(draw(0, 3) == 0 ? draw(0, 62) : draw(0, 20));
      operands.residual = residual.data();
      operands.residual_scale = residual_scale.data();
    }
  }

  void Reference() {
    const auto size = static_cast<size_t>(operands.vector_size);
    for (size_t n = 0; n < operands.pixels * operands.vectors; ++n) {
      std::vector<int64_t> y;
      int64_t largest = 0;
      for (size_t i = 0; i < size; ++i) {
        const sim::ChannelParams& channel = channels[n % operands.vectors * size + i];
        int64_t t = RoundHalfUp(acc[n * size + i] * int64_t{channel.mult}, int64_t{1} << channel.shift);
        t += channel.bias;
        if (operands.residual != nullptr) {
          const int64_t value = int64_t{residual[n * size + i] - operands.res_bias} * residual_scale[n];
          t += RoundHalfUp(value * operands.res_mult, int64_t{1} << operands.res_shift);
        }
        t = std::clamp<int64_t>(t, kMin, kMax);
        if (operands.relu) t = std::max<int64_t>(t, 0);
        y.push_back(std::min<int64_t>(t, channel.clip));
        largest = std::max(largest, std::abs(y.back()));
      }
      if (operands.wide) {
        std::copy(y.begin(), y.end(), acc.begin() + static_cast<int64_t>(n * size));
        continue;
      }
      const sim::VectorFormat& f = operands.format;
      const int64_t full = int64_t{f.element_max} << f.guard_bits;
      const int64_t scale = std::clamp<int64_t>((largest + full - 1) / full, 1, f.scale_max);
      out_scale[n] = static_cast<int32_t>(scale);
      for (size_t i = 0; i < size; ++i) {
        const int64_t element =
            std::clamp<int64_t>(RoundHalfUp(y[i], scale << f.guard_bits), f.element_min, f.element_max);
        out[n * size + i] = static_cast<uint8_t>(element & f.code_mask);
      }
    }
  }

  Case Run(sim::Simd simd) const {
    Case copy = *this;
    copy.operands.acc = copy.acc.data();
    copy.operands.channels = copy.channels.data();
    copy.operands.out = copy.out.data();
    copy.operands.out_scale = copy.out_scale.data();
    sim::SelectPpuKernel<Acc>(operands.vector_size, simd)(copy.operands);
    return copy;
  }
};

template <typename Acc>
void TestKernels() {
  std::mt19937 random(1);
  sim::Params params = testing::Small();
  for (int round = 0; round < 4000; ++round) {
    params.vector_size = 8 << round % 4;
    params.activation_bits = 2 + static_cast<int>(random() % 7);
    params.activation_scale_bits = static_cast<int>(random() % 11);
    params.guard_bits = static_cast<int>(random() % 9);
    const Case<Acc> start(params, &random);
    Case<Acc> expected = start;
    expected.Reference();
    for (const sim::Simd simd : sim::SupportedSimd()) {
      const Case<Acc> result = start.Run(simd);
      CHECK_EQ(result.acc == expected.acc, true);
      CHECK_EQ(result.out == expected.out, true);
      CHECK_EQ(result.out_scale == expected.out_scale, true);
    }
  }
}

// The magnitude of -2^31 is 2^31, wherever it stands in a vector and however small the rest is.
void TestLowest() {
  std::mt19937 random(2);
  sim::Params params = testing::Small();
  for (const int size : {8, 16, 32, 64}) {
    params.vector_size = size;
    Case<int32_t> start(params, &random);
    start.operands.relu = start.operands.wide = false;
    start.operands.residual = nullptr;
    start.operands.format = sim::VectorFormat(params, false);
    for (sim::ChannelParams& channel : start.channels) channel = {65535, 0, false, 0, kMax};
    for (size_t lane = 0; lane < start.acc.size(); ++lane) {
      std::fill(start.acc.begin(), start.acc.end(), 0);
      start.acc[lane] = kMin;
      Case<int32_t> expected = start;
      expected.Reference();
      for (const sim::Simd simd : sim::SupportedSimd()) {
        const Case<int32_t> result = start.Run(simd);
        CHECK_EQ(result.out == expected.out, true);
        CHECK_EQ(result.out_scale == expected.out_scale, true);
      }
    }
  }
}

// An instruction whose pixels are not whole vectors, which a wide result allows.
void TestWideBlocks() {
  std::mt19937 random(3);
  sim::Params params = testing::Small();
  params.acc_depth = 4096;
  for (const int size : {8, 64}) {
    for (const int lanes : {4, 8, 16}) {
      for (const uint32_t blocks : {1u, 3u}) {
        params.vector_size = size;
        params.output_lanes = lanes;
        sim::Instruction instruction = testing::MakePpu(1000);
        auto& ppu = std::get<isa::Ppu>(instruction.body);
        ppu.blocks = blocks;
        ppu.wide = true;
        sim::Scratchpads pads(params);
        for (sim::ChannelParams& channel : pads.par)
          channel = {static_cast<uint16_t>(random()), 20, false, 5, kMax};
        for (int32_t& acc : pads.acc32) acc = static_cast<int32_t>(random());
        std::vector<int32_t> expected = pads.acc32;
        const size_t width = blocks * static_cast<size_t>(lanes);
        for (size_t i = 0; i < 1000 * width; ++i) {
          expected[i] = sim::PostProcess(expected[i], pads.par[i % width], 0, false);
        }
        testing::Execute(params, instruction, &pads);
        CHECK_EQ(pads.acc32 == expected, true);
      }
    }
  }
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestKernels<int32_t>();
  tvm_vsq::TestKernels<int64_t>();
  tvm_vsq::TestLowest();
  tvm_vsq::TestWideBlocks();
  return tvm_vsq::testing::Result();
}
