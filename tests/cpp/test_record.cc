// DRAM records: bit positions, sign, padding, and the order of weights in the scratchpad.
#include <random>
#include <vector>

#include "tests/cpp/programs.h"
#include "tests/cpp/testing.h"
#include "tvm_vsq/sim/bit_string.h"
#include "tvm_vsq/sim/record.h"

namespace tvm_vsq {
namespace {

void TestBitStrings() {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    std::vector<int> widths;
    std::vector<uint32_t> values;
    size_t bits = 0;
    for (int i = 0; i < 50; ++i) {
      widths.push_back(std::uniform_int_distribution<int>(1, 32)(random));
      values.push_back(static_cast<uint32_t>(random() & ((uint64_t{1} << widths.back()) - 1)));
      bits += static_cast<size_t>(widths.back());
    }
    std::vector<uint8_t> bytes((bits + 7) / 8);
    sim::BitWriter writer(bytes.data());
    for (size_t i = 0; i < values.size(); ++i) writer.Put(values[i], widths[i]);
    writer.Finish();
    sim::BitReader reader(bytes.data(), bytes.size());
    for (size_t i = 0; i < values.size(); ++i) CHECK_EQ(reader.Take(widths[i]), values[i]);
    CHECK_EQ(reader.Take(32) >> (bytes.size() * 8 - bits), 0u);
  }
  CHECK_EQ(sim::SignExtend(7, 4), 7);
  CHECK_EQ(sim::SignExtend(8, 4), -8);
  CHECK_EQ(sim::SignExtend(15, 4), -1);
  CHECK_EQ(sim::SignExtend(255, 8), -1);
}

void TestInput() {
  const sim::Params params = testing::Small();
  const sim::RecordCodec codec(params);
  sim::Scratchpads pads(params);
  const uint8_t record[] = {0x21, 0x43, 0xf5, 0x87, 0x0d};  // elements 1 2 3 4 5 15 7 8, scale 13
  codec.Load(sim::Pad::kInp, record, 2, &pads);
  const int expected[] = {1, 2, 3, 4, 5, 15, 7, 8}, expected_signed[] = {1, 2, 3, 4, 5, -1, 7, -8};
  for (size_t i = 0; i < 8; ++i) {
    CHECK_EQ(int{pads.inp_code[16 + i]}, expected[i]);
    CHECK_EQ(pads.inp_biased[16 + i] - 8, expected_signed[i]);
  }
  CHECK_EQ(pads.inp_scale[2], 13);
  codec.Load(sim::Pad::kInp, nullptr, 2, &pads);
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
  sim::RecordCodec(params).StoreOut(pads, 1, record);
  const int expected[] = {0x21, 0x43, 0xf5, 0x87, 0x0d};
  for (size_t i = 0; i < 5; ++i) CHECK_EQ(int{record[i]}, expected[i]);
}

void TestWeights() {
  const sim::Params params = testing::Small();
  sim::Scratchpads pads(params);
  std::vector<uint8_t> record(36);
  sim::BitWriter bits(record.data());
  for (uint32_t lane = 0; lane < 8; ++lane) {
    for (uint32_t i = 0; i < 8; ++i) bits.Put((lane + i) % 16, 4);
    bits.Put(15 - lane, 4);
  }
  bits.Finish();
  sim::RecordCodec(params).Load(sim::Pad::kWgt, record.data(), 1, &pads);
  for (size_t lane = 0; lane < 8; ++lane) {
    CHECK_EQ(pads.wgt_scale[8 + lane], static_cast<int32_t>(15 - lane));
    int32_t sum = 0;
    for (size_t i = 0; i < 8; ++i) {
      const int32_t value = sim::SignExtend(static_cast<uint32_t>((lane + i) % 16), 4);
      CHECK_EQ(int{pads.wgt[64 + i / 4 * 32 + 4 * lane + i % 4]}, value);
      sum += value;
    }
    CHECK_EQ(pads.wgt_sum[8 + lane], sum);
  }
}

void TestMicroOpsAndParameters() {
  const sim::Params params = testing::Small();
  const sim::RecordCodec codec(params);
  sim::Scratchpads pads(params);
  const uint8_t uop[] = {0x05 | (3 << 6 & 0xff), 0x02 << 4, 0x00};  // acc 5, inp 3, wgt 2: 6 bits each
  codec.Load(sim::Pad::kUop, uop, 0, &pads);
  CHECK_EQ(pads.uop[0].acc, 5u);
  CHECK_EQ(pads.uop[0].inp, 3u);
  CHECK_EQ(pads.uop[0].wgt, 2u);
  std::vector<uint8_t> par(88);
  const uint8_t lane[] = {0x34, 0x12, 62, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
  std::copy(std::begin(lane), std::end(lane), par.begin() + 7 * 11);
  codec.Load(sim::Pad::kPar, par.data(), 3, &pads);
  const sim::ChannelParams& channel = pads.par[3 * 8 + 7];
  CHECK_EQ(channel.mult, 0x1234);
  CHECK_EQ(int{channel.shift}, 62);
  CHECK_EQ(channel.bias, -2);
  CHECK_EQ(channel.clip, 0x7fffffff);
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestBitStrings();
  tvm_vsq::TestInput();
  tvm_vsq::TestOutput();
  tvm_vsq::TestWeights();
  tvm_vsq::TestMicroOpsAndParameters();
  return tvm_vsq::testing::Result();
}
