// DRAM records of the small accelerator, by hand: bit positions, sign, borders. Weights: test_packing.cc.
#include <vector>

#include "tests/cpp/programs.h"
#include "tests/cpp/testing.h"
#include "tvm_vsq/sim/record.h"

namespace tvm_vsq {
namespace {

void TestInput() {
  const sim::Params params = testing::Small();
  const sim::RecordCodec codec(params);
  sim::Scratchpads pads(params);
  const uint8_t record[] = {0x21, 0x43, 0xf5, 0x87, 0x0d};  // elements 1 2 3 4 5 15 7 8, scale 13
  codec.Load(sim::Pad::kInp, record, 1, 2, &pads);
  const int expected[] = {1, 2, 3, 4, 5, 15, 7, 8}, expected_signed[] = {1, 2, 3, 4, 5, -1, 7, -8};
  for (size_t i = 0; i < 8; ++i) {
    CHECK_EQ(int{pads.inp_code[16 + i]}, expected[i]);
    CHECK_EQ(pads.inp_biased[16 + i] - 8, expected_signed[i]);
  }
  CHECK_EQ(pads.inp_scale[2], 13);
  codec.Clear(sim::Pad::kInp, 1, 2, &pads);
  CHECK_EQ(int{pads.inp_code[16 + 5]}, 0);
  CHECK_EQ(int{pads.inp_biased[16 + 5]}, 8);
  CHECK_EQ(pads.inp_scale[2], 0);
}

void TestOutput() {
  const sim::Params params = testing::Small();
  sim::Scratchpads pads(params);
  const uint8_t codes[] = {1, 2, 3, 4, 5, 15, 7, 8};
  std::copy(std::begin(codes), std::end(codes), pads.out.begin() + 8);
  pads.out_scale[1] = 13;
  uint8_t record[5] = {};
  sim::RecordCodec(params).StoreOut(pads, 1, 1, record);
  const int expected[] = {0x21, 0x43, 0xf5, 0x87, 0x0d};
  for (size_t i = 0; i < 5; ++i) CHECK_EQ(int{record[i]}, expected[i]);
}

void TestParameters() {
  const sim::Params params = testing::Small();
  const sim::RecordCodec codec(params);
  sim::Scratchpads pads(params);
  std::vector<uint8_t> par(88);
  const uint8_t lane[] = {0x34, 0x12, 62, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
  std::copy(std::begin(lane), std::end(lane), par.begin() + 7 * 11);
  codec.Load(sim::Pad::kPar, par.data(), 1, 3, &pads);
  const sim::ChannelParams& channel = pads.par[3 * 8 + 7];
  CHECK_EQ(channel.mult, 0x1234);
  CHECK_EQ(int{channel.shift}, 62);
  CHECK_EQ(channel.bias, -2);
  CHECK_EQ(channel.clip, 0x7fffffff);
}

// As STORE writes them: little-endian int32, also where accumulators are wider.
void TestAccumulators() {
  std::vector<uint8_t> record(2 * 32);
  const uint8_t lane[] = {0xfe, 0xff, 0xff, 0x80};
  std::copy(std::begin(lane), std::end(lane), record.begin() + 32 + 7 * 4);
  record[3 * 4] = 5;
  const auto check = [&](int64_t bits, auto accumulators) {
    const sim::Params params = testing::Small("accumulator_bits", bits);
    const sim::RecordCodec codec(params);
    sim::Scratchpads pads(params);
    auto& acc = pads.*accumulators;
    std::fill(acc.begin(), acc.end(), 9);
    codec.Load(sim::Pad::kAcc, record.data(), 2, 3, &pads);
    CHECK_EQ(acc[3 * 8 - 1], 9);
    CHECK_EQ(acc[3 * 8 + 3], 5);
    CHECK_EQ(acc[4 * 8 + 7], -0x7f000002);
    CHECK_EQ(acc[5 * 8], 9);
    codec.Clear(sim::Pad::kAcc, 1, 4, &pads);
    CHECK_EQ(acc[4 * 8 + 7], 0);
    CHECK_EQ(acc[3 * 8 + 3], 5);
    CHECK_EQ(acc[5 * 8], 9);
  };
  check(24, &sim::Scratchpads::acc32);
  check(40, &sim::Scratchpads::acc64);
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestInput();
  tvm_vsq::TestOutput();
  tvm_vsq::TestParameters();
  tvm_vsq::TestAccumulators();
  return tvm_vsq::testing::Result();
}
