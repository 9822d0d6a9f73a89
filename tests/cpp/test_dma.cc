// LOAD and STORE in runs do what they would do entry by entry.
#include "tvm_vsq/sim/dma.h"

#include <random>
#include <vector>

#include "tests/cpp/programs.h"
#include "tests/cpp/testing.h"

namespace tvm_vsq {
namespace {

// Strides that make runs of z, of x and of y contiguous come up often.
sim::Dma RandomDma(sim::Pad pad, bool load, std::mt19937* random) {
  const auto draw = [&](int low, int high) {
    return static_cast<uint32_t>(std::uniform_int_distribution<int>(low, high)(*random));
  };
  sim::Dma dma;
  dma.pad = pad;
  dma.z_size = draw(1, 2);
  dma.x_size = draw(1, 2);
  dma.y_size = draw(1, 2);
  dma.x_stride = dma.z_size + draw(0, 1);
  dma.y_stride = dma.x_size * dma.x_stride + draw(0, 1);
  dma.sram_base = draw(0, 1);
  dma.dram_base = draw(0, 9);
  if (load && draw(0, 1) == 1) {
    for (uint8_t* border : {&dma.y_pad_top, &dma.y_pad_bottom, &dma.x_pad_left, &dma.x_pad_right}) {
      *border = static_cast<uint8_t>(draw(0, 1));
    }
  }
  return dma;
}

template <typename Pads>
auto Contents(Pads& pads) {
  return std::tie(pads.inp_code, pads.inp_biased, pads.inp_scale, pads.wgt, pads.wgt_scale, pads.wgt_sum,
                  pads.out, pads.out_scale, pads.acc32);
}

// 4 * 4 * 2 entries behind the base at most, in a pad of params.depth entries.
sim::Params Deep() {
  auto values = testing::SmallParams();
  values["par_depth"] = 64;
  return sim::ParseParams(values);
}

void TestLoad() {
  const sim::Params params = Deep();
  const sim::RecordCodec codec(params);
  std::mt19937 random(1);
  std::vector<uint8_t> dram(8192);
  for (uint8_t& byte : dram) byte = static_cast<uint8_t>(random());
  for (int round = 0; round < 2000; ++round) {
    const sim::Pad pads_of[] = {sim::Pad::kInp, sim::Pad::kWgt, sim::Pad::kPar};
    const sim::Dma dma = RandomDma(pads_of[round % 3], true, &random);
    const auto record = static_cast<uint64_t>(params.RecordBytes(dma.pad));
    sim::Scratchpads expected(params), pads(params);
    uint64_t entry = dma.sram_base;
    for (uint64_t row = 0; row < dma.Rows(); ++row) {
      for (uint64_t column = 0; column < dma.Columns(); ++column) {
        const uint64_t y = row - dma.y_pad_top, x = column - dma.x_pad_left;
        for (uint64_t z = 0; z < dma.z_size; ++z, ++entry) {
          if (y < dma.y_size && x < dma.x_size) {
            const uint64_t at = y * dma.y_stride + x * dma.x_stride + z;
            codec.Load(dma.pad, &dram[dma.dram_base + at * record], 1, entry, &expected);
          } else {
            codec.Clear(dma.pad, 1, entry, &expected);
          }
        }
      }
    }
    sim::ExecuteLoad(codec, params, dma, dram, &pads);
    CHECK_EQ(Contents(pads) == Contents(expected), true);
    for (size_t i = 0; i < pads.par.size(); ++i) {
      CHECK_EQ(pads.par[i].mult, expected.par[i].mult);
      CHECK_EQ(pads.par[i].clip, expected.par[i].clip);
    }
  }
}

void TestStore() {
  const sim::Params params = Deep();
  const sim::RecordCodec codec(params);
  std::mt19937 random(2);
  sim::Scratchpads pads(params);
  for (uint8_t& code : pads.out) code = random() % 16;
  for (int32_t& scale : pads.out_scale) scale = static_cast<int32_t>(random() % 16);
  for (int32_t& acc : pads.acc32) acc = static_cast<int32_t>(random());
  for (int round = 0; round < 1000; ++round) {
    const sim::Dma dma = RandomDma(round % 2 == 0 ? sim::Pad::kOut : sim::Pad::kAcc, false, &random);
    sim::Instruction store = testing::Make(isa::Opcode::kStore);
    store.body = dma;
    const sim::Program program = testing::MakeProgram({store});
    const auto record = static_cast<uint64_t>(params.RecordBytes(dma.pad));
    std::vector<uint8_t> expected(4096, 0xaa), dram = expected;
    uint64_t entry = dma.sram_base;
    for (uint64_t y = 0; y < dma.y_size; ++y) {
      for (uint64_t x = 0; x < dma.x_size; ++x) {
        for (uint64_t z = 0; z < dma.z_size; ++z, ++entry) {
          uint8_t* target = &expected[dma.dram_base + (y * dma.y_stride + x * dma.x_stride + z) * record];
          if (dma.pad == sim::Pad::kOut) {
            codec.StoreOut(pads, 1, entry, target);
            continue;
          }
          for (size_t lane = 0; lane < 8; ++lane) {
            const auto value = static_cast<uint32_t>(pads.acc32[entry * 8 + lane]);
            for (size_t i = 0; i < 4; ++i) target[4 * lane + i] = static_cast<uint8_t>(value >> (8 * i));
          }
        }
      }
    }
    sim::ExecuteStore(codec, params, program, 0, pads, &dram);
    CHECK_EQ(dram == expected, true);
  }
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestLoad();
  tvm_vsq::TestStore();
  return tvm_vsq::testing::Result();
}
