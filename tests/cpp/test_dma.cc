// LOAD and STORE in runs do what they would do entry by entry.
#include <random>
#include <tuple>
#include <vector>

#include "tests/cpp/execute.h"
#include "tests/cpp/programs.h"
#include "tests/cpp/testing.h"

namespace tvm_vsq {
namespace {

// Strides that make runs of z, of x and of y contiguous come up often.
template <typename Insn>
Insn RandomTransfer(sim::Pad pad, std::mt19937* random) {
  const auto draw = [&](int low, int high) {
    return static_cast<uint32_t>(std::uniform_int_distribution<int>(low, high)(*random));
  };
  Insn insn;
  insn.mem = pad;
  insn.z_size = draw(1, 2);
  insn.x_size = draw(1, 2);
  insn.y_size = draw(1, 2);
  insn.x_stride = insn.z_size + draw(0, 1);
  insn.y_stride = insn.x_size * insn.x_stride + draw(0, 1);
  insn.sram_base = draw(0, 1);
  insn.dram_base = draw(0, 9);
  if constexpr (std::is_same_v<Insn, isa::Load>) {
    if (draw(0, 1) == 0) return insn;
    for (uint32_t* border : {&insn.y_pad_top, &insn.y_pad_bottom, &insn.x_pad_left, &insn.x_pad_right})
      *border = draw(0, 1);
  }
  return insn;
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
    const sim::Pad pads_of[] = {sim::Pad::kInp, sim::Pad::kWgt, sim::Pad::kPar, sim::Pad::kAcc};
    const auto load = RandomTransfer<isa::Load>(pads_of[round % 4], &random);
    const auto record = static_cast<uint64_t>(params.RecordBytes(load.mem));
    sim::Scratchpads expected(params), pads(params);
    uint64_t entry = load.sram_base;
    for (uint64_t row = 0; row < sim::Rows(load); ++row) {
      for (uint64_t column = 0; column < sim::Columns(load); ++column) {
        const uint64_t y = row - load.y_pad_top, x = column - load.x_pad_left;
        for (uint64_t z = 0; z < load.z_size; ++z, ++entry) {
          if (y < load.y_size && x < load.x_size) {
            const uint64_t at = y * load.y_stride + x * load.x_stride + z;
            codec.Load(load.mem, &dram[load.dram_base + at * record], 1, entry, &expected);
          } else {
            codec.Clear(load.mem, 1, entry, &expected);
          }
        }
      }
    }
    testing::Execute(params, testing::Make(load), &pads, &dram);
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
    const auto store = RandomTransfer<isa::Store>(round % 2 == 0 ? sim::Pad::kOut : sim::Pad::kAcc, &random);
    const auto record = static_cast<uint64_t>(params.RecordBytes(store.mem));
    std::vector<uint8_t> expected(4096, 0xaa), dram = expected;
    uint64_t entry = store.sram_base;
    for (uint64_t y = 0; y < store.y_size; ++y) {
      for (uint64_t x = 0; x < store.x_size; ++x) {
        for (uint64_t z = 0; z < store.z_size; ++z, ++entry) {
          uint8_t* target =
              &expected[store.dram_base + (y * store.y_stride + x * store.x_stride + z) * record];
          if (store.mem == sim::Pad::kOut) {
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
    testing::Execute(params, testing::Make(store), &pads, &dram);
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
