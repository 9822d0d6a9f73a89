// Cycles worked out by hand, causes of stalls, queues that fill up, deadlocks.
#include "tests/cpp/programs.h"
#include "tests/cpp/testing.h"
#include "tvm_vsq/sim/timing.h"

namespace tvm_vsq {
namespace {

using sim::Cause;
using sim::RoomForTokenTo;
using sim::RoomInQueueOf;
using sim::Stall;
using sim::TokenFrom;
using testing::Finish;
using testing::Load;
using testing::MakeGemm;
using testing::MakePpu;
using testing::MakeProgram;
using testing::MakeVec;
using testing::Store;
using testing::Sync;

enum Unit { kFetch, kLoad, kCompute, kVector, kPpu, kStore };

// The only layer; every unit's cycles must be accounted for.
sim::Timing Time(std::vector<sim::Instruction> instructions, const sim::Params& params = testing::Small()) {
  const sim::Timing timing = sim::SimulateTiming(params, MakeProgram(std::move(instructions)));
  for (const sim::Activity& activity : timing.layers[0].units) {
    int64_t cycles = activity.busy;
    for (const auto& causes : activity.stalls) {
      for (const int64_t count : causes) cycles += count;
    }
    CHECK_EQ(cycles, timing.cycles);
  }
  return timing;
}

int64_t Busy(const sim::Timing& timing, Unit unit) { return timing.layers[0].units[unit].busy; }

int64_t Cycles(const sim::Timing& timing, Unit unit, Stall stall, Cause cause) {
  return timing.layers[0].units[unit].stalls[static_cast<size_t>(stall)][static_cast<size_t>(cause)];
}

// The first four instructions are through the channel at 4 and there at 104; they are decoded at 105, 106,
// ...; the fifth is there at 108. LOAD: set up 113, row open 133, one burst = 4 cycles until 137, visible
// 237. GEMM 8 + 3 until 248, PPU 10 + 2 until 260, STORE 8 + 20 + 4 until 292, complete 392; FINISH behind
// it.
void TestSerialChain() {
  const sim::Timing timing =
      Time({Load(sim::Pad::kInp, 0, 0, 1, "push_compute"), MakeGemm(false, 3, 1, "pop_load push_ppu"),
            MakePpu(2, "pop_compute push_store"), Store(sim::Pad::kOut, 0, 0, 2, "pop_ppu"), Finish()});
  CHECK_EQ(timing.cycles, 392);
  CHECK_EQ(timing.layers[0].end, 392);
  CHECK_EQ(Busy(timing, kFetch), 5);
  CHECK_EQ(Busy(timing, kLoad), 8 + 4);
  CHECK_EQ(Busy(timing, kCompute), 11);
  CHECK_EQ(Busy(timing, kVector), 0);
  CHECK_EQ(Busy(timing, kPpu), 12);
  CHECK_EQ(Busy(timing, kStore), 8 + 4 + 1);
  // GEMM is taken at 106 and waits for LOAD: its set-up until 113, row, transfer, latency.
  CHECK_EQ(Cycles(timing, kCompute, TokenFrom(isa::Engine::kLoad), Cause::kDmaSetup), 113 - 106);
  CHECK_EQ(Cycles(timing, kCompute, TokenFrom(isa::Engine::kLoad), Cause::kDramRow), 20);
  CHECK_EQ(Cycles(timing, kCompute, TokenFrom(isa::Engine::kLoad), Cause::kDramBandwidth), 4);
  CHECK_EQ(Cycles(timing, kCompute, TokenFrom(isa::Engine::kLoad), Cause::kDramLatency), 100);
  // STORE is taken at 108 and waits through PPU and GEMM for what LOAD does, then for these two.
  CHECK_EQ(Cycles(timing, kStore, TokenFrom(isa::Engine::kPpu), Cause::kDramLatency), 100);
  CHECK_EQ(Cycles(timing, kStore, TokenFrom(isa::Engine::kPpu), Cause::kCompute), 260 - 237);
  CHECK_EQ(Cycles(timing, kPpu, TokenFrom(isa::Engine::kCompute), Cause::kCompute), 248 - 237);
  CHECK_EQ(Cycles(timing, kStore, Stall::kDramRow, Cause::kDramRow), 20);
  CHECK_EQ(Cycles(timing, kLoad, Stall::kInstruction, Cause::kDramLatency), 100);
  CHECK_EQ(Cycles(timing, kLoad, Stall::kInstruction, Cause::kDramBandwidth), 4);
  CHECK_EQ(Cycles(timing, kLoad, Stall::kInstruction, Cause::kFetch), 1);
  CHECK_EQ(Cycles(timing, kLoad, Stall::kFinished, Cause::kFinished), 392 - 137);
  CHECK_EQ(Cycles(timing, kFetch, Stall::kDramData, Cause::kDramLatency), 100);
}

// Instructions 0 to 3 are handed out until 108, when the third request goes out: instruction 8 arrives at
// 212.
void TestTokenBackPressure() {
  const sim::Timing timing =
      Time({Sync("push_store"), Sync("push_store"), Sync("push_store"), Sync("push_store"),
            Store(sim::Pad::kOut, 0, 0, 1, "pop_compute"), Store(sim::Pad::kOut, 1, 64, 1, "pop_compute"),
            Store(sim::Pad::kOut, 2, 128, 1, "pop_compute"), Store(sim::Pad::kOut, 3, 192, 1, "pop_compute"),
            Finish()});
  // SYNCs push at 106 and 107; the third is done at 108 and pushes at 109, when the first STORE pops; the
  // fourth is taken then and pushes at 141, when the first STORE has left. STOREs take 32 cycles each from
  // 109 on.
  CHECK_EQ(timing.cycles, 109 + 4 * 32 + 100);
  CHECK_EQ(Busy(timing, kCompute), 4);
  CHECK_EQ(Cycles(timing, kCompute, RoomForTokenTo(isa::Engine::kStore), Cause::kFetch), 109 - 108);
  CHECK_EQ(Cycles(timing, kCompute, RoomForTokenTo(isa::Engine::kStore), Cause::kDmaSetup), 118 - 110 - 1);
  CHECK_EQ(Cycles(timing, kCompute, RoomForTokenTo(isa::Engine::kStore), Cause::kDramRow), 20);
  CHECK_EQ(Cycles(timing, kCompute, RoomForTokenTo(isa::Engine::kStore), Cause::kDramBandwidth), 4);
}

// SYNCs push at 107 and 108; the third is done at 109 and pushes at 137, when the first STORE has left and
// the second, taken then, pops. Until then the fourth is not taken, for which LOAD waits: through compute and
// the queue that is full for what STORE does, then for the SYNC itself.
void TestCauseBehindAFullTokenQueue() {
  const sim::Timing timing =
      Time({Store(sim::Pad::kOut, 0, 0, 1), Sync("push_store"), Sync("push_store"), Sync("push_store"),
            Sync("push_load"), Load(sim::Pad::kInp, 0, 0, 1, "pop_compute"),
            Store(sim::Pad::kOut, 1, 64, 1, "pop_compute"), Store(sim::Pad::kOut, 2, 128, 1, "pop_compute"),
            Store(sim::Pad::kOut, 3, 192, 1, "pop_compute"), Finish()});
  CHECK_EQ(Cycles(timing, kLoad, TokenFrom(isa::Engine::kCompute), Cause::kDmaSetup), 113 - 110);
  CHECK_EQ(Cycles(timing, kLoad, TokenFrom(isa::Engine::kCompute), Cause::kDramRow), 20);
  CHECK_EQ(Cycles(timing, kLoad, TokenFrom(isa::Engine::kCompute), Cause::kDramBandwidth), 4);
  CHECK_EQ(Cycles(timing, kLoad, TokenFrom(isa::Engine::kCompute), Cause::kCompute), 1);
  CHECK_EQ(Cycles(timing, kLoad, TokenFrom(isa::Engine::kCompute), Cause::kFetch), 0);
}

void TestCommandQueueBackPressure() {
  std::vector<sim::Instruction> instructions(7, MakeGemm(true, 10, 10));
  instructions.push_back(Finish());
  const sim::Timing timing = Time(instructions);
  CHECK_EQ(timing.cycles, 105 + 7 * 108);
  // The first is taken at 105; the queue of 4 is full when the sixth is decoded at 110; a slot frees at 213
  // and 321.
  CHECK_EQ(Cycles(timing, kFetch, RoomInQueueOf(isa::Engine::kCompute), Cause::kCompute),
           (213 - 110) + (321 - 214));
}

// LOAD: 64 records of 5 bytes = 3 bursts, asked for at 105 + 8 + 20 = 133; STORE of 64 records at 134. They
// take turns: bursts L S L S ... from 133 on; the third of LOAD is through at 133 + 5 * 4, STORE's a burst
// later.
void TestChannelTakesTurns() {
  const sim::Timing timing = Time(
      {Load(sim::Pad::kInp, 0, 0, 64, "push_store"), Store(sim::Pad::kOut, 0, 4096, 64), Finish("pop_load")});
  CHECK_EQ(timing.cycles, 133 + 6 * 4 + 100);
  CHECK_EQ(Busy(timing, kLoad), 8 + 12);
  CHECK_EQ(Busy(timing, kStore), 8 + 12 + 1);
  CHECK_EQ(Cycles(timing, kLoad, Stall::kDramData, Cause::kDramBandwidth), 2 * 4);
  CHECK_EQ(Cycles(timing, kStore, Stall::kDramData, Cause::kDramBandwidth), 157 - 134 - 12);
}

// 64 entries through one bank take 64 cycles, while their three bursts take 12.
void TestBanks() {
  const sim::Timing timing = Time({Load(sim::Pad::kInp, 0, 0, 64, "push_store"), Finish("pop_load")},
                                  testing::Small("inp_banks", 1));
  CHECK_EQ(timing.cycles, 133 + 64 + 100 + 1);
  CHECK_EQ(Cycles(timing, kLoad, Stall::kBanks, Cause::kBanks), 64 - 12);
  CHECK_EQ(Cycles(timing, kStore, TokenFrom(isa::Engine::kLoad), Cause::kBanks), 64 - 12);
}

// 32 lanes are 4 vectors of 8 in a block. Two banks of out need two cycles for these, one bank four.
void TestPpuBankConflicts() {
  std::map<std::string, int64_t> values = testing::SmallParams(32);
  for (const int64_t banks : {4, 2, 1}) {
    values["out_banks"] = banks;
    const sim::Timing timing = Time({MakePpu(6), Finish()}, sim::ParseParams(values));
    CHECK_EQ(timing.cycles, 105 + 10 + 6 * 4 / banks);
    CHECK_EQ(Cycles(timing, kPpu, Stall::kBanks, Cause::kBanks), 6 * (4 / banks - 1));
    CHECK_EQ(Busy(timing, kPpu), 10 + 6);
  }
}

// A residual reads as many vectors of inp; reading and writing go on side by side.
void TestPpuWithAResidual() {
  std::map<std::string, int64_t> values = testing::SmallParams(32);
  const auto check = [&](bool residual, bool wide, int64_t inp_banks, int64_t out_banks,
                         int64_t cycles_per_block) {
    sim::Instruction instruction = MakePpu(6);
    auto& ppu = std::get<isa::Ppu>(instruction.body);
    ppu.residual = residual;
    ppu.wide = wide;
    values["inp_banks"] = inp_banks;
    values["out_banks"] = out_banks;
    const sim::Timing timing = Time({instruction, Finish()}, sim::ParseParams(values));
    CHECK_EQ(timing.cycles, 105 + 10 + 6 * cycles_per_block);
    CHECK_EQ(Cycles(timing, kPpu, Stall::kBanks, Cause::kBanks), 6 * (cycles_per_block - 1));
    const auto bits = [&](isa::Event event) { return timing.layers[0].events[static_cast<size_t>(event)]; };
    CHECK_EQ(bits(isa::Event::kInpReadBits), residual ? 6 * 4 * 36 : 0);
    CHECK_EQ(bits(isa::Event::kOutWriteBits), wide ? 0 : 6 * 4 * 36);
    CHECK_EQ(bits(isa::Event::kAccReadBits), 6 * 32 * 24);
    CHECK_EQ(bits(isa::Event::kAccWriteBits), wide ? 6 * 32 * 24 : 0);
  };
  check(true, false, 4, 4, 1);
  check(true, false, 2, 4, 2);
  check(true, false, 1, 2, 4);
  check(true, false, 4, 2, 2);
  check(false, false, 1, 4, 1);
  check(true, true, 2, 1, 2);
  check(false, true, 1, 1, 1);
}

// A group of 8 channels are two entries of 4 accumulators, one of 32 four vectors, which two banks of inp
// serve in two cycles and one bank in four.
void TestVectorUnit() {
  const auto check = [](isa::Vec::Op op, isa::Vec::Src src, int64_t lanes, int64_t inp_banks, int64_t cycles,
                        int64_t conflicts) {
    std::map<std::string, int64_t> values = testing::SmallParams(lanes);
    values["inp_banks"] = inp_banks;
    const sim::Timing timing = Time({MakeVec(op, src, 5, 3), Finish()}, sim::ParseParams(values));
    CHECK_EQ(timing.cycles, 105 + 6 + 15 * (cycles + conflicts));
    CHECK_EQ(Busy(timing, kVector), 6 + 15 * cycles);
    CHECK_EQ(Cycles(timing, kVector, Stall::kBanks, Cause::kBanks), 15 * conflicts);
    const auto count = [&](isa::Event event) { return timing.layers[0].events[static_cast<size_t>(event)]; };
    const bool reads = src == isa::Vec::Src::kInp;
    const int64_t channels = 15 * std::max<int64_t>(lanes, 8);
    CHECK_EQ(count(isa::Event::kVectorLaneOps), channels);
    CHECK_EQ(count(isa::Event::kUnpackLaneOps), reads ? channels : 0);
    CHECK_EQ(count(isa::Event::kInpReadBits), reads ? channels / 8 * 36 : 0);
    CHECK_EQ(count(isa::Event::kCoefficientLaneOps), op == isa::Vec::Op::kMac ? channels : 0);
    CHECK_EQ(count(isa::Event::kProductLaneOps), op == isa::Vec::Op::kMul ? channels : 0);
    CHECK_EQ(count(isa::Event::kFactorLaneOps), op == isa::Vec::Op::kScale ? channels : 0);
    const int64_t reads_of_acc = (op == isa::Vec::Op::kMov ? 0 : 1) + (src == isa::Vec::Src::kAcc ? 1 : 0);
    CHECK_EQ(count(isa::Event::kAccReadBits), reads_of_acc * channels * 24);
    CHECK_EQ(count(isa::Event::kAccWriteBits), channels * 24);
  };
  check(isa::Vec::Op::kMax, isa::Vec::Src::kInp, 8, 1, 1, 0);
  check(isa::Vec::Op::kMax, isa::Vec::Src::kInp, 4, 1, 2, 0);
  check(isa::Vec::Op::kMov, isa::Vec::Src::kInp, 32, 4, 1, 0);
  check(isa::Vec::Op::kMov, isa::Vec::Src::kInp, 32, 2, 1, 1);
  check(isa::Vec::Op::kMax, isa::Vec::Src::kInp, 32, 1, 1, 3);
  check(isa::Vec::Op::kMov, isa::Vec::Src::kImm, 32, 1, 1, 0);
  check(isa::Vec::Op::kMin, isa::Vec::Src::kImm, 4, 1, 2, 0);
  check(isa::Vec::Op::kAdd, isa::Vec::Src::kInp, 32, 2, 1, 1);
  check(isa::Vec::Op::kMac, isa::Vec::Src::kInp, 4, 1, 2, 0);
  check(isa::Vec::Op::kMul, isa::Vec::Src::kInp, 32, 2, 1, 1);
  check(isa::Vec::Op::kMul, isa::Vec::Src::kImm, 4, 1, 2, 0);
  check(isa::Vec::Op::kSub, isa::Vec::Src::kImm, 4, 1, 2, 0);
  // Two entries of acc go through one port.
  check(isa::Vec::Op::kScale, isa::Vec::Src::kAcc, 8, 1, 1, 1);
  check(isa::Vec::Op::kMov, isa::Vec::Src::kAcc, 4, 4, 2, 2);
  check(isa::Vec::Op::kAdd, isa::Vec::Src::kAcc, 32, 1, 1, 1);
}

// 15 rows of as many entries; a result is two entries where a vector is two accumulator entries long.
void TestRowsOfAccumulators() {
  const auto check = [](isa::Reduce::Op op, isa::Reduce::To to, int64_t lanes, uint32_t entries,
                        int64_t cycles) {
    std::map<std::string, int64_t> values = testing::SmallParams(lanes);
    values["row_pipeline_cycles"] = 21;
    values["par_depth"] = 128 / lanes;
    sim::Instruction instruction = testing::MakeReduce(op, 5, 3, entries);
    std::get<isa::Reduce>(instruction.body).to = to;
    const sim::Timing timing = Time({instruction, Finish()}, sim::ParseParams(values));
    CHECK_EQ(timing.cycles, 105 + 21 + 15 * cycles);
    CHECK_EQ(Busy(timing, kVector), 21 + 15 * cycles);
    const auto count = [&](isa::Event event) { return timing.layers[0].events[static_cast<size_t>(event)]; };
    const int64_t read = 15 * entries * lanes, blocks = lanes == 4 ? 2 : 1;
    CHECK_EQ(count(isa::Event::kReduceLaneOps), read);
    CHECK_EQ(count(isa::Event::kSquareLaneOps), op == isa::Reduce::Op::kSquares ? read : 0);
    CHECK_EQ(count(isa::Event::kRowOps), 15);
    CHECK_EQ(count(isa::Event::kAccReadBits), read * 24);
    CHECK_EQ(count(isa::Event::kAccWriteBits), 15 * blocks * lanes * 24);
    CHECK_EQ(count(isa::Event::kUopReadBits), 15 * 18);
    const bool looks_up = to == isa::Reduce::To::kReciprocal || to == isa::Reduce::To::kRsqrt;
    CHECK_EQ(count(isa::Event::kParReadBits), looks_up ? 15 * lanes * 88 : 0);
    CHECK_EQ(count(isa::Event::kVectorLaneOps), 0);
  };
  check(isa::Reduce::Op::kMax, isa::Reduce::To::kValue, 8, 1, 1);
  check(isa::Reduce::Op::kSum, isa::Reduce::To::kScaled, 8, 7, 7);
  check(isa::Reduce::Op::kSquares, isa::Reduce::To::kRsqrt, 4, 1, 2);
  check(isa::Reduce::Op::kSquares, isa::Reduce::To::kValue, 4, 3, 3);
  check(isa::Reduce::Op::kSum, isa::Reduce::To::kReciprocal, 32, 1, 1);
}

// A table of 128 segments is in 4 entries of 32 lanes, or in 32 of 4.
void TestTable() {
  for (const int64_t lanes : {4, 32}) {
    std::map<std::string, int64_t> values = testing::SmallParams(lanes);
    values["par_depth"] = 128 / lanes;
    const sim::Timing timing =
        Time({MakeVec(isa::Vec::Op::kTable, isa::Vec::Src::kImm, 5, 3), Finish()}, sim::ParseParams(values));
    const int64_t blocks = lanes == 4 ? 2 : 1;
    CHECK_EQ(Busy(timing, kVector), 6 + 128 / lanes + 15 * blocks);
    const auto count = [&](isa::Event event) { return timing.layers[0].events[static_cast<size_t>(event)]; };
    CHECK_EQ(count(isa::Event::kTableLaneOps), 15 * blocks * lanes);
    CHECK_EQ(count(isa::Event::kTableFillBits), lanes * 128 * 48);
    CHECK_EQ(count(isa::Event::kParReadBits), 128 * 88);
    CHECK_EQ(count(isa::Event::kAccReadBits), 15 * blocks * lanes * 24);
    CHECK_EQ(count(isa::Event::kAccWriteBits), 15 * blocks * lanes * 24);
    CHECK_EQ(count(isa::Event::kUnpackLaneOps), 0);
  }
}

// What a program of every kind of instruction counts. Entries have 18 bits in uop, 36 in inp and out, 288 in
// wgt, 192 in acc, 704 in par; the three entries of the LOAD are one of border and two of 5 bytes in DRAM.
void TestEvents() {
  sim::Instruction load = Load(sim::Pad::kInp, 0, 0, 1, "push_compute");
  auto& dma = std::get<isa::Load>(load.body);
  dma.x_size = 2;
  dma.x_stride = dma.x_pad_left = 1;
  sim::Instruction ppu = MakePpu(2, "pop_compute push_store");
  std::get<isa::Ppu>(ppu.body).blocks = 3;
  const sim::Timing timing = Time({load, MakeGemm(true, 2, 3, "pop_load"), MakeGemm(false, 5, 2, "push_ppu"),
                                   MakeVec(isa::Vec::Op::kMax, isa::Vec::Src::kInp, 4, 1), ppu,
                                   Store(sim::Pad::kOut, 0, 0, 2, "pop_ppu"), Finish()});
  const int64_t expected[isa::kEventCount] = {
      7,             // instructions
      10 * 64,       // macs
      10 * 8,        // scale_products
      10 * 8,        // scale_macs
      0,             // shift_lane_ops
      0,             // window_macs
      0,             // window_lanes
      4 * 8,         // vector_lane_ops
      4 * 8,         // unpack_lane_ops
      0,             // coefficient_lane_ops
      0,             // product_lane_ops
      0,             // table_lane_ops
      0,             // table_fill_bits
      0,             // factor_lane_ops
      0,             // reduce_lane_ops
      0,             // square_lane_ops
      0,             // row_ops
      6 * 8,         // ppu_lane_ops
      0,             // residual_lane_ops
      6 * 8,         // quantize_lane_ops
      0,             // transpose_lane_ops
      7 * 32 + 128,  // dram_read_bytes
      128,           // dram_write_bytes
      (6 + 10 + 4) * 18,
      0,  // uop: read, write bits
      (10 + 4) * 36,
      3 * 36,  // inp
      10 * 288,
      0,  // wgt
      (10 + 4 + 6) * 192,
      (6 + 10 + 4) * 192,  // acc
      6 * 704,
      0,  // par
      2 * 36,
      6 * 36,  // out
  };
  for (size_t event = 0; event < isa::kEventCount; ++event)
    CHECK_EQ(timing.layers[0].events[event], expected[event]);
}

// With scales on one side there is no product of two, without any nothing is scaled.
void TestEventsOfScaleUnits() {
  const auto check = [](int64_t weight_scale_bits, int64_t activation_scale_bits, int64_t products,
                        int64_t macs) {
    std::map<std::string, int64_t> values = testing::SmallParams();
    values["weight_scale_bits"] = weight_scale_bits;
    values["activation_scale_bits"] = activation_scale_bits;
    values["wgt_record_bytes"] = 32 + weight_scale_bits;
    values["inp_record_bytes"] = values["out_record_bytes"] = activation_scale_bits == 0 ? 4 : 5;
    values["product_bits"] = weight_scale_bits + activation_scale_bits;
    const sim::Timing timing = Time({MakeGemm(false, 5, 2), Finish()}, sim::ParseParams(values));
    const sim::EventCounts& events = timing.layers[0].events;
    CHECK_EQ(events[static_cast<size_t>(isa::Event::kScaleProducts)], products);
    CHECK_EQ(events[static_cast<size_t>(isa::Event::kScaleMacs)], macs);
  };
  check(4, 4, 80, 80);
  check(4, 0, 0, 80);
  check(0, 4, 0, 80);
  check(0, 0, 0, 0);
}

// Pieces at bytes 0, 4095, 5 and 4100: the second ends in the next row, the third goes back.
void TestRowsBehind() {
  sim::Instruction load = Load(sim::Pad::kInp, 0, 0, 1, "push_store");
  auto& dma = std::get<isa::Load>(load.body);
  dma.x_size = dma.y_size = 2;
  dma.x_stride = 819;
  dma.y_stride = 1;
  CHECK_EQ(Cycles(Time({load, Finish("pop_load")}), kLoad, Stall::kDramRow, Cause::kDramRow), 2 * 20);
}

// 63 entries of border and one of DRAM go through one bank.
void TestBanksOfABorder() {
  sim::Instruction load = Load(sim::Pad::kInp, 0, 0, 1, "push_store");
  std::get<isa::Load>(load.body).x_pad_left = 63;
  const sim::Timing timing = Time({load, Finish("pop_load")}, testing::Small("inp_banks", 1));
  CHECK_EQ(timing.cycles, 133 + 64 + 100 + 1);
  CHECK_EQ(Cycles(timing, kLoad, Stall::kBanks, Cause::kBanks), 64 - 4);
}

// Rows of 4096 bytes: four pieces of 5 bytes, 8195 bytes apart, each open a row of their own; 4095 apart,
// each is in the next row or the same.
void TestRows() {
  const auto strided = [](uint32_t stride) {
    sim::Instruction load = Load(sim::Pad::kInp, 0, 0, 1, "push_store");
    auto& dma = std::get<isa::Load>(load.body);
    dma.y_size = 4;
    dma.y_stride = stride;
    return Time({load, Finish("pop_load")});
  };
  CHECK_EQ(Cycles(strided(1639), kLoad, Stall::kDramRow, Cause::kDramRow), 4 * 20);
  CHECK_EQ(Cycles(strided(819), kLoad, Stall::kDramRow, Cause::kDramRow), 20);
}

// Fetch, load and store take turns, also after a look at the channel amid a round; each has five bursts of 4
// cycles.
void TestTurnsGoOn() {
  sim::Channel channel(4);
  std::vector<sim::Channel::Interval> busy;
  channel.RecordTo(&busy);
  const sim::Port load = isa::kPortOf[static_cast<int>(isa::Engine::kLoad)];
  for (sim::Port port = 0; port < isa::kPortCount; ++port) channel.Request(port, 0, 5);
  CHECK_EQ(channel.Done(isa::kFetchPort, 5), false);
  CHECK_EQ(channel.NextEvent(5), 13 * 4);
  CHECK_EQ(channel.Done(isa::kFetchPort, 52), true);
  CHECK_EQ(channel.NextEvent(52), 14 * 4);
  CHECK_EQ(channel.NextEvent(56), 15 * 4);
  channel.Request(load, 100, 2);
  CHECK_EQ(channel.Done(load, 108), true);
  CHECK_EQ(busy.size(), 2u);  // [0, 60) and [100, 108)
  CHECK_EQ(busy[0].end, 60);
  CHECK_EQ(busy[1].begin, 100);
}

// The buffer holds two bursts of four instructions: the third is asked for when the first four are handed
// out, at 108. A burst of 8 bytes is a quarter of an instruction.
void TestFetchBuffer() {
  std::vector<sim::Instruction> instructions(9, Sync());
  instructions.push_back(Finish());
  sim::TimingRecord record;
  sim::SimulateTiming(testing::Small(), MakeProgram(instructions), &record);
  CHECK_EQ(record.times[7].queued, 112);
  CHECK_EQ(record.times[8].queued, 108 + 4 + 100 + 1);
  CHECK_EQ(Time({Finish()}, testing::Small("dram_burst_bytes", 8)).cycles, 4 + 100 + 1 + 1);
}

std::vector<sim::Instruction> OneOfEachEngine() {
  return {Load(sim::Pad::kInp, 0, 0, 1), MakeGemm(true, 100, 1),
          MakeVec(isa::Vec::Op::kMov, isa::Vec::Src::kImm, 100, 1), MakePpu(100),
          Store(sim::Pad::kOut, 0, 4096, 1)};
}

void TestEveryEngineWaitsForEveryOther() {
  int pairs = 0;
  for (sim::Instruction source : OneOfEachEngine()) {
    for (sim::Instruction sink : OneOfEachEngine()) {
      if (source.engine() == sink.engine()) continue;
      const auto name = [](const sim::Instruction& insn) {
        return std::string(sim::kEngineNames[static_cast<int>(insn.engine())]);
      };
      source.tokens = testing::Make(source.body, "push_" + name(sink)).tokens;
      sink.tokens = testing::Make(sink.body, "pop_" + name(source)).tokens;
      sim::TimingRecord record;
      const sim::Program program = MakeProgram({source, sink, Finish()});
      const sim::Timing timing = sim::SimulateTiming(testing::Small(), program, &record);
      CHECK_EQ(record.times[1].start, record.times[0].complete);
      const sim::Activity& waiting = timing.layers[0].units[1 + static_cast<size_t>(sink.engine())];
      int64_t waited = 0;
      for (const int64_t count : waiting.stalls[static_cast<size_t>(TokenFrom(source.engine()))])
        waited += count;
      CHECK_EQ(waited, record.times[1].start - record.times[1].taken);
      ++pairs;
    }
  }
  CHECK_EQ(pairs, isa::kEngineCount * (isa::kEngineCount - 1));
}

// GEMM, VEC and PPU are handed out from 105 on, one each cycle.
void TestComputingEnginesRunBesideEachOther() {
  const auto cycles = [](uint32_t gemm, uint32_t vec, uint32_t ppu, const char* tokens[3]) {
    return Time({MakeGemm(true, gemm, 10, tokens[0]),
                 MakeVec(isa::Vec::Op::kMov, isa::Vec::Src::kImm, vec, 10, tokens[1]),
                 MakePpu(ppu, tokens[2]), Finish()})
        .cycles;
  };
  const char* unordered[] = {"", "", ""};
  CHECK_EQ(cycles(90, 10, 64, unordered), 105 + 8 + 900);
  CHECK_EQ(cycles(90, 100, 64, unordered), 106 + 6 + 1000);
  CHECK_EQ(cycles(90, 100, 1064, unordered), 107 + 10 + 1064);
  const char* chained[] = {"push_vector", "pop_compute push_ppu", "pop_vector"};
  CHECK_EQ(cycles(90, 100, 1064, chained), 105 + 908 + 1006 + 1074);
}

void TestDeadlocks() {
  CHECK_ERROR(Time({Sync("pop_load"), Finish()}),
              "deadlock: compute waits for a token from load at layer 'conv1', instruction 0 (SYNC)");
  CHECK_ERROR(
      Time({Load(sim::Pad::kInp, 0, 0, 1, "pop_compute"), Store(sim::Pad::kOut, 0, 0, 1, "pop_compute"),
            Sync("pop_store"), Finish()}),
      "load waits for a token from compute at layer 'conv1', instruction 0 (LOAD); compute waits for a token "
      "from store at layer 'conv1', instruction 2 (SYNC); store waits for a token from compute at layer "
      "'conv1', instruction 1 (STORE)");
  std::vector<sim::Instruction> instructions{Sync("pop_store")};
  for (int i = 0; i < 8; ++i) instructions.push_back(Sync("push_store"));
  instructions.push_back(Finish());
  CHECK_ERROR(Time(instructions),
              "fetch waits for room in the queue of compute (4 are queued) at layer 'conv1', "
              "instruction 5 (SYNC)");
  CHECK_ERROR(
      Time({Sync("push_store"), Sync("push_store"), Sync("push_store"), Finish()}),
      "compute waits for room for a token to store (2 are queued) at layer 'conv1', instruction 2 (SYNC)");
}

void TestLeftOverTokensAndEndlessPrograms() {
  CHECK_ERROR(Time({Sync("push_store"), Finish()}), "tokens left over at FINISH: 1 from compute to store");
  CHECK_ERROR(Time({MakeGemm(true, 2047, 1023), Finish()}), "more than max_cycles = 1000000 cycles");
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestSerialChain();
  tvm_vsq::TestTokenBackPressure();
  tvm_vsq::TestCauseBehindAFullTokenQueue();
  tvm_vsq::TestCommandQueueBackPressure();
  tvm_vsq::TestChannelTakesTurns();
  tvm_vsq::TestBanks();
  tvm_vsq::TestPpuBankConflicts();
  tvm_vsq::TestPpuWithAResidual();
  tvm_vsq::TestVectorUnit();
  tvm_vsq::TestRowsOfAccumulators();
  tvm_vsq::TestTable();
  tvm_vsq::TestEvents();
  tvm_vsq::TestEventsOfScaleUnits();
  tvm_vsq::TestRows();
  tvm_vsq::TestRowsBehind();
  tvm_vsq::TestBanksOfABorder();
  tvm_vsq::TestTurnsGoOn();
  tvm_vsq::TestFetchBuffer();
  tvm_vsq::TestEveryEngineWaitsForEveryOther();
  tvm_vsq::TestComputingEnginesRunBesideEachOther();
  tvm_vsq::TestDeadlocks();
  tvm_vsq::TestLeftOverTokensAndEndlessPrograms();
  return tvm_vsq::testing::Result();
}
