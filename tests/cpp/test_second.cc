// The second operand of a product of activations: PPU's vectors of its form and along pixels, STORE of them,
// LOAD that gathers them into weights; against plain loops over numbers and bits.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/cpp/bit_string.h"
#include "tests/cpp/execute.h"
#include "tests/cpp/programs.h"
#include "tests/cpp/rounding.h"
#include "tests/cpp/testing.h"
#include "tvm_vsq/sim/check.h"
#include "tvm_vsq/sim/order.h"
#include "tvm_vsq/sim/ppu.h"
#include "tvm_vsq/sim/timing.h"
#include "tvm_vsq/sim/weight_range.h"

namespace tvm_vsq {
namespace {

using testing::Finish;
using testing::Load;
using testing::MakeProgram;
using testing::Store;

class Generator {
 public:
  int64_t Draw(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random_);
  }
  uint32_t Any(int64_t high) { return static_cast<uint32_t>(Draw(0, high)); }

  sim::Params Params() {
    std::map<std::string, int64_t> values = testing::SmallParams(4 << Draw(0, 4));
    const int64_t size = 8 << Draw(0, 3), lanes = values["output_lanes"];
    const auto width = [&](const char* name, int64_t low, int64_t high) {
      return values[name] = Draw(low, high);
    };
    const int64_t weight = width("weight_bits", 2, 8), activation = width("activation_bits", 2, 8);
    const int64_t weight_scale =
        Any(3) == 0 ? values["weight_scale_bits"] = 0 : width("weight_scale_bits", 1, 10);
    const int64_t scale =
        Any(3) == 0 ? values["activation_scale_bits"] = 0 : width("activation_scale_bits", 1, 10);
    values["vector_size"] = size;
    values["product_bits"] = weight_scale + scale;
    values["accumulator_bits"] = Any(1) == 0 ? 32 : 46;
    values["out_depth"] = 2048;
    values["acc_depth"] = 512;
    values["uop_record_bytes"] = 3;
    values["inp_depth"] = 512;
    values["wgt_depth"] = 64;
    values["inp_record_bytes"] = values["out_record_bytes"] = (size * activation + scale + 7) / 8;
    values["wgt_record_bytes"] = (lanes * (size * weight + weight_scale) + 7) / 8;
    values["dram_bytes"] = 1 << 20;
    return sim::ParseParams(values);
  }

  sim::Scratchpads Pads(const sim::Params& params) {
    sim::Scratchpads pads(params);
    const int64_t limit = int64_t{1} << Draw(1, 31);
    for (int32_t& acc : pads.acc32) acc = static_cast<int32_t>(Draw(-limit, limit - 1));
    for (int64_t& acc : pads.acc64) acc = Draw(-limit, limit - 1);
    for (sim::ChannelParams& channel : pads.par) {
      channel = {static_cast<uint16_t>(Draw(0, 65535)), static_cast<uint8_t>(Draw(8, 24)), false,
                 static_cast<int32_t>(Draw(-99, 99)), static_cast<int32_t>(Draw(99, 1 << 30))};
    }
    for (uint8_t& code : pads.out) code = static_cast<uint8_t>(Draw(0, (1 << params.activation_bits) - 1));
    for (int32_t& scale : pads.out_scale)
      scale = static_cast<int32_t>(
          params.activation_scale_bits == 0 ? 1 : Draw(0, (1 << params.activation_scale_bits) - 1));
    return pads;
  }

 private:
  std::mt19937 random_{1};
};

struct Form {
  int64_t bits, scale_bits;
};

Form SecondOf(const sim::Params& params) {
  const bool scaled = params.weight_scale_bits > 0 && params.activation_scale_bits > 0;
  return {std::min(params.weight_bits, params.activation_bits),
          scaled ? std::min(params.weight_scale_bits, params.activation_scale_bits) : 0};
}

// Quantizes numbers as docs/numerics.md, section 3, says; codes have the bits of activations.
void Quantize(const sim::Params& params, const Form& form, bool is_unsigned, const std::vector<int64_t>& y,
              uint8_t* codes, int32_t* scale) {
  const int64_t high = (int64_t{1} << (form.bits - (is_unsigned ? 0 : 1))) - 1;
  const int64_t low = is_unsigned ? 0 : -high;
  int64_t largest = 0;
  for (const int64_t number : y) largest = std::max(largest, std::abs(number));
  const int64_t full = high << params.guard_bits,
                most = form.scale_bits == 0 ? 1 : (1 << form.scale_bits) - 1;
  *scale = static_cast<int32_t>(std::clamp<int64_t>((largest + full - 1) / full, 1, most));
  for (size_t i = 0; i < y.size(); ++i) {
    const int64_t q = std::clamp(testing::RoundHalfUp(y[i], int64_t{*scale} << params.guard_bits), low, high);
    codes[i] = static_cast<uint8_t>(q & ((1 << params.activation_bits) - 1));
  }
}

// Each vector of `out` from the numbers that belong to it, one after the other.
void Expect(const sim::Params& params, const isa::Ppu& ppu, const sim::Scratchpads& before,
            sim::Scratchpads* after) {
  const auto size = static_cast<size_t>(params.vector_size), lanes = static_cast<size_t>(params.output_lanes);
  const size_t width = ppu.blocks * lanes;
  const auto y = [&](size_t pixel, size_t channel) -> int64_t {
    if (pixel >= ppu.pixels || channel >= width) return 0;
    const size_t at = (ppu.acc_base + pixel * ppu.blocks) * lanes + channel;
    const int64_t acc = before.acc64.empty() ? before.acc32[at] : before.acc64[at];
    return sim::PostProcess(acc, before.par[ppu.par_base * lanes + channel], 0, ppu.relu);
  };
  const Form form =
      ppu.second ? SecondOf(params) : Form{params.activation_bits, params.activation_scale_bits};
  size_t entry = ppu.out_base;
  const auto quantize = [&](const std::vector<int64_t>& numbers) {
    Quantize(params, form, ppu.out_unsigned, numbers, &after->out[entry * size], &after->out_scale[entry]);
    ++entry;
  };
  std::vector<int64_t> numbers(size);
  if (ppu.transpose) {
    for (size_t channel = 0; channel < width - ppu.skip_vectors; ++channel) {
      for (size_t first = 0; first < ppu.pixels; first += size) {
        for (size_t i = 0; i < size; ++i) numbers[i] = y(first + i, channel);
        quantize(numbers);
      }
    }
    return;
  }
  const size_t vectors = (width + size - 1) / size - ppu.skip_vectors;
  for (size_t pixel = 0; pixel < ppu.pixels; ++pixel) {
    for (size_t vector = 0; vector < vectors; ++vector) {
      for (size_t i = 0; i < size; ++i) numbers[i] = y(pixel, vector * size + i);
      quantize(numbers);
    }
  }
}

void TestPpu() {
  Generator generator;
  for (int round = 0; round < 3000; ++round) {
    const sim::Params params = generator.Params();
    isa::Ppu ppu;
    ppu.second = generator.Any(1) == 1;
    ppu.transpose = !ppu.second || generator.Any(1) == 1;
    ppu.out_unsigned = !ppu.second && generator.Any(1) == 1;
    ppu.relu = generator.Any(1) == 1;
    ppu.blocks = 1 + generator.Any(2);
    ppu.pixels = 1 + generator.Any(3 * 16 - 1);
    ppu.acc_base = generator.Any(99);
    ppu.out_base = generator.Any(9);
    ppu.par_base = generator.Any(4);
    const int64_t per_block = std::max<int64_t>(1, params.output_lanes / params.vector_size);
    ppu.skip_vectors = generator.Any(ppu.transpose ? params.output_lanes - 1 : per_block - 1);
    sim::CheckProgram(params, MakeProgram({testing::Make(ppu), Finish()}));
    const sim::Scratchpads before = generator.Pads(params);
    sim::Scratchpads expected = before, found = before;
    Expect(params, ppu, before, &expected);
    testing::Execute(params, testing::Make(ppu), &found);
    CHECK_EQ(found.out == expected.out, true);
    CHECK_EQ(found.out_scale == expected.out_scale, true);
    CHECK_EQ(found.acc32 == before.acc32 && found.acc64 == before.acc64, true);
  }
}

void TestStore() {
  Generator generator;
  for (int round = 0; round < 500; ++round) {
    const sim::Params params = generator.Params();
    const Form form = SecondOf(params);
    const auto size = static_cast<size_t>(params.vector_size);
    isa::Store store;
    store.second = true;
    store.sram_base = generator.Any(20);
    store.dram_base = generator.Any(50);
    store.z_size = 1 + generator.Any(2);
    store.x_size = 1 + generator.Any(1);
    store.y_size = 1 + generator.Any(1);
    store.x_stride = store.z_size + generator.Any(1);
    store.y_stride = store.x_size * store.x_stride + generator.Any(1);
    sim::Scratchpads pads = generator.Pads(params);
    std::vector<uint8_t> expected(4096, 0xaa), found = expected;
    size_t entry = store.sram_base;
    const auto record = static_cast<size_t>((params.vector_size * form.bits + form.scale_bits + 7) / 8);
    for (size_t y = 0; y < store.y_size; ++y) {
      for (size_t x = 0; x < store.x_size; ++x) {
        for (size_t z = 0; z < store.z_size; ++z, ++entry) {
          testing::BitString bits;
          for (size_t i = 0; i < size; ++i) bits.Put(pads.out[entry * size + i], static_cast<int>(form.bits));
          bits.Put(pads.out_scale[entry], static_cast<int>(form.scale_bits));
          CHECK_EQ(bits.bytes().size(), record);
          const size_t at = store.dram_base + (y * store.y_stride + x * store.x_stride + z) * record;
          std::copy(bits.bytes().begin(), bits.bytes().end(), expected.begin() + static_cast<int64_t>(at));
        }
      }
    }
    testing::Execute(params, testing::Make(store), &pads, &found);
    CHECK_EQ(found == expected, true);
  }
}

isa::Load RandomGather(const sim::Params& params, Generator* generator) {
  isa::Load load;
  load.mem = sim::Pad::kWgt;
  load.gather = true;
  load.lanes = 1 + generator->Any(params.output_lanes - 1);
  load.lane_stride = generator->Any(1) == 0 ? generator->Any(9) : 0;
  load.sram_base = generator->Any(3);
  load.dram_base = generator->Any(50);
  load.z_size = 1 + generator->Any(2);
  load.x_size = generator->Any(2);
  load.y_size = 1 + generator->Any(1);
  load.x_stride = generator->Any(9);
  load.y_stride = generator->Any(9);
  for (uint32_t* border : {&load.y_pad_top, &load.y_pad_bottom, &load.x_pad_left, &load.x_pad_right})
    *border = generator->Any(5) == 0 ? 1 : 0;
  if (load.x_size + load.x_pad_left + load.x_pad_right == 0) load.x_size = 1;
  return load;
}

// DRAM of records of any elements but the lowest, wherever a record may begin.
std::vector<uint8_t> DramOf(const sim::Params& params, const isa::Load& load, Generator* generator) {
  const Form form = SecondOf(params);
  const int64_t high = (1 << (form.bits - 1)) - 1;
  std::vector<uint8_t> dram(load.dram_base);
  while (dram.size() < 65536) {
    testing::BitString bits;
    for (int64_t i = 0; i < params.vector_size; ++i)
      bits.Put(static_cast<int>(generator->Draw(-high, high)), static_cast<int>(form.bits));
    bits.Put(static_cast<int>(generator->Draw(0, 1023)), static_cast<int>(form.scale_bits));
    dram.insert(dram.end(), bits.bytes().begin(), bits.bytes().end());
  }
  return dram;
}

// Of an entry whose lanes lie `lane_stride` records apart from `record` on.
void ExpectEntry(const sim::Params& params, const isa::Load& load, const std::vector<uint8_t>& dram,
                 int64_t record, size_t entry, sim::Scratchpads* pads) {
  const auto size = static_cast<size_t>(params.vector_size), lanes = static_cast<size_t>(params.output_lanes);
  const Form form = SecondOf(params);
  for (size_t lane = 0; lane < lanes; ++lane) {
    int32_t sum = 0;
    const bool is_read = record >= 0 && lane < load.lanes;
    const size_t at = static_cast<size_t>(std::max<int64_t>(0, record)) + lane * load.lane_stride;
    const auto bytes = static_cast<size_t>(params.second_record_bytes);
    const uint8_t* source = is_read ? &dram[load.dram_base + at * bytes] : nullptr;
    const auto field = [&](size_t first, int64_t width) {
      return is_read ? testing::GetBits(source, static_cast<int>(first), static_cast<int>(width)) : 0;
    };
    for (size_t i = 0; i < size; ++i) {
      const int element = testing::SignExtend(field(i * static_cast<size_t>(form.bits), form.bits),
                                              static_cast<int>(form.bits));
      pads->wgt[(entry * size / 4 + i / 4) * lanes * 4 + lane * 4 + i % 4] = static_cast<int8_t>(element);
      sum += element;
    }
    const int scale =
        form.scale_bits == 0 ? 1 : field(size * static_cast<size_t>(form.bits), form.scale_bits);
    pads->wgt_scale[entry * lanes + lane] = is_read ? scale : 0;
    pads->wgt_sum[entry * lanes + lane] = sum;
  }
}

void TestGather() {
  Generator generator;
  for (int round = 0; round < 1000; ++round) {
    const sim::Params params = generator.Params();
    const isa::Load load = RandomGather(params, &generator);
    std::vector<uint8_t> dram = DramOf(params, load, &generator);
    sim::Scratchpads expected(params), found(params);
    // Whatever was there before.
    for (sim::Scratchpads* pads : {&expected, &found}) {
      std::fill(pads->wgt.begin(), pads->wgt.end(), int8_t{7});
      std::fill(pads->wgt_scale.begin(), pads->wgt_scale.end(), 9);
      std::fill(pads->wgt_sum.begin(), pads->wgt_sum.end(), 56);
    }
    size_t entry = load.sram_base;
    for (int64_t y = -int64_t{load.y_pad_top}; y < load.y_size + load.y_pad_bottom; ++y) {
      for (int64_t x = -int64_t{load.x_pad_left}; x < load.x_size + load.x_pad_right; ++x) {
        for (int64_t z = 0; z < load.z_size; ++z, ++entry) {
          const bool inside = y >= 0 && y < load.y_size && x >= 0 && x < load.x_size;
          ExpectEntry(params, load, dram, inside ? y * load.y_stride + x * load.x_stride + z : -1, entry,
                      &expected);
        }
      }
    }
    testing::Execute(params, testing::Make(load), &found, &dram);
    CHECK_EQ(found.wgt == expected.wgt, true);
    CHECK_EQ(found.wgt_scale == expected.wgt_scale, true);
    CHECK_EQ(found.wgt_sum == expected.wgt_sum, true);
  }
}

isa::Load Gather(uint32_t z, uint32_t lanes, uint32_t lane_stride) {
  isa::Load load;
  load.mem = sim::Pad::kWgt;
  load.gather = true;
  load.z_size = z;
  load.x_size = load.y_size = 1;
  load.lanes = lanes;
  load.lane_stride = lane_stride;
  return load;
}

// Records of 5 bytes: the third element of the second one of lane 2.
void TestTheLowestElement() {
  const sim::Params params = testing::Small();
  std::vector<uint8_t> dram(65536);
  dram[(2 * 7 + 1) * 5 + 1] = 0x08;
  sim::Scratchpads pads(params);
  isa::Load load = Gather(2, 3, 7);
  load.sram_base = 4;
  CHECK_ERROR(testing::Execute(params, testing::Make(load), &pads, &dram),
              "instruction 0 (LOAD): wgt entry 5, lane 2: element 2 is -8, which no vector of the");
  dram[(2 * 7 + 1) * 5 + 1] = 0x09;
  testing::Execute(params, testing::Make(load), &pads, &dram);
  load.lanes = 2;
  dram[(2 * 7 + 1) * 5 + 1] = 0x08;
  testing::Execute(params, testing::Make(load), &pads, &dram);
}

void TestRefusals() {
  const auto check = [](const isa::AnyInstruction& body, const sim::Params& params = testing::Small()) {
    sim::CheckProgram(params, MakeProgram({testing::Make(body), Finish()}));
  };
  isa::Load load = Gather(1, 8, 1);
  check(load);
  load.mem = sim::Pad::kInp;
  CHECK_ERROR(check(load), "field gather is set, but mem is inp, must be wgt");
  load = Gather(1, 9, 1);
  CHECK_ERROR(check(load), "field lanes is 9, must be at most output_lanes, 8");
  load.lanes = 0;
  CHECK_ERROR(check(load), "field lanes is 0, must be at least 1");
  load.gather = false;  // lanes of whole entries
  check(load);
  // The last byte of the last lane: 7 * 1872 records of 5 bytes, and one more.
  load = Gather(1, 8, 1872);
  load.dram_base = 65536 - (7 * 1872 + 1) * 5;
  check(load);
  ++load.dram_base;
  CHECK_ERROR(check(load), "the transfer ends at byte 65537 of 65536 bytes of DRAM");
  isa::Store store;
  store.second = true;
  store.z_size = store.x_size = store.y_size = 1;
  check(store);
  store.mem = sim::Pad::kAcc;
  CHECK_ERROR(check(store), "field second is set, but mem is acc, must be out");
  isa::Ppu ppu;
  ppu.pixels = ppu.blocks = 1;
  ppu.second = ppu.out_unsigned = true;
  CHECK_ERROR(check(ppu), "fields second and out_unsigned are set; a second operand is signed");
  ppu.second = false;
  ppu.transpose = true;
  ppu.skip_vectors = 7;
  check(ppu);
  ppu.skip_vectors = 8;
  CHECK_ERROR(check(ppu), "field skip_vectors is 8 of the 8 channels of the last block");
  ppu.skip_vectors = 0;
  ppu.wide = true;
  CHECK_ERROR(check(ppu), "fields transpose and wide are set; only one of them may be");
  ppu.wide = false;
  ppu.residual = true;
  CHECK_ERROR(check(ppu), "fields transpose and residual are set; only one of them may be");
  ppu.residual = false;
  ppu.blocks = 4;
  ppu.pixels = 9;  // two groups of 32 channels
  check(ppu);
  ppu.out_base = 1;
  CHECK_ERROR(check(ppu), "field out_base 1 + 64 entries exceeds the 64 entries of scratchpad out");
  std::map<std::string, int64_t> values = testing::SmallParams();
  for (const auto& [name, right, wrong] :
       {std::tuple("second_bits", 4, 3), std::tuple("second_scale_bits", 4, 0),
        std::tuple("second_record_bytes", 5, 4)}) {
    values[name] = right;
    sim::ParseParams(values);
    values[name] = wrong;
    CHECK_ERROR(sim::ParseParams(values), std::string(name) + " is " + std::to_string(wrong) + ", but");
    values[name] = right;
  }
}

// Each run of a lane is a piece of its own: three of two records, 10 bytes, at 0, 130 and 260 are in bursts
// 0, 1 and 2 of 128 bytes; without a distance they are in one burst, three times.
void TestPieces() {
  const sim::Params params = testing::Small();
  const auto count = [&](const isa::AnyInstruction& body, isa::Event event) {
    const sim::Timing timing =
        sim::SimulateTiming(params, MakeProgram({testing::Make(body, "push_store"), Finish("pop_load")}));
    return timing.layers[0].events[static_cast<size_t>(event)];
  };
  for (const uint32_t stride : {0u, 2u, 26u}) {
    CHECK_EQ(count(Gather(2, 3, stride), isa::Event::kDramReadBytes), 2 * 32 + 3 * 128);
    CHECK_EQ(count(Gather(2, 3, stride), isa::Event::kWgtWriteBits), 2 * 288);
  }
  // Across a border of bursts: 24 * 5 + 10 bytes.
  CHECK_EQ(count(Gather(2, 2, 24), isa::Event::kDramReadBytes), 2 * 32 + 3 * 128);
  std::vector<std::pair<uint64_t, uint64_t>> pieces;
  isa::Load load = Gather(2, 2, 9);
  load.x_size = load.y_size = 2;
  load.x_stride = 2;
  load.y_stride = 4;
  load.dram_base = 3;
  sim::ForEachPiece(params, *sim::TransferOf(testing::Make(load)),
                    [&](uint64_t begin, uint64_t bytes) { pieces.emplace_back(begin, bytes); });
  const uint64_t begins[] = {0, 9, 2, 11, 4, 13, 6, 15};
  CHECK_EQ(pieces.size(), 8u);
  for (size_t i = 0; i < pieces.size(); ++i) {
    CHECK_EQ(pieces[i].first, 3 + 5 * begins[i]);
    CHECK_EQ(pieces[i].second, 10u);
  }
}

// 9 pixels are two groups of 8; entries of out lie in as many banks as are written at once.
void TestTiming() {
  const auto check = [](int64_t lanes, int64_t banks, uint32_t blocks, int64_t cycles, int64_t conflicts) {
    std::map<std::string, int64_t> values = testing::SmallParams(lanes);
    values["out_banks"] = banks;
    values["out_depth"] = 1024;
    isa::Ppu ppu;
    ppu.pixels = 9;
    ppu.blocks = blocks;
    ppu.transpose = true;
    ppu.skip_vectors = 1;
    const sim::Timing timing = sim::SimulateTiming(
        sim::ParseParams(values), MakeProgram({testing::Make(ppu, "push_store"), Finish("pop_ppu")}));
    const auto& unit = timing.layers[0].units[4];
    CHECK_EQ(unit.busy, 10 + cycles);
    CHECK_EQ(timing.cycles, 105 + 10 + cycles + conflicts + 1);
    const auto count = [&](isa::Event event) { return timing.layers[0].events[static_cast<size_t>(event)]; };
    const int64_t channels = blocks * lanes - 1;
    CHECK_EQ(count(isa::Event::kTransposeLaneOps), 9 * blocks * lanes);
    CHECK_EQ(count(isa::Event::kPpuLaneOps), 9 * blocks * lanes);
    CHECK_EQ(count(isa::Event::kQuantizeLaneOps), std::min<int64_t>(9 * blocks * lanes, channels * 2 * 8));
    CHECK_EQ(count(isa::Event::kOutWriteBits), channels * 2 * 36);
    CHECK_EQ(count(isa::Event::kAccReadBits), 9 * blocks * lanes * 24);
    CHECK_EQ(count(isa::Event::kParReadBits), 9 * blocks * lanes * 88);
  };
  check(8, 1, 1, 8 + 2 * 8, 0);
  check(8, 1, 3, 8 + 2 * 8 * 3, 0);
  check(4, 1, 2, 8 + 2 * 8 * 2, 0);
  check(32, 4, 1, 8 + 2 * 8, 0);
  check(32, 2, 1, 8 + 2 * 8, 2 * 8);
}

// A STORE of the form writes 5 bytes where its lanes are read, in their order or not.
void TestOrder() {
  const auto check = [](uint64_t address, bool ordered) {
    isa::Store store;
    store.second = true;
    store.dram_base = address;
    store.z_size = store.x_size = store.y_size = 1;
    const sim::Program program =
        MakeProgram({testing::Make(store, ordered ? "push_load" : ""),
                     testing::Make(Gather(1, 3, 10), ordered ? "pop_store push_store" : "push_store"),
                     Finish("pop_load")});
    sim::CheckOrder(testing::Small(), program);
  };
  check(55, false);
  check(95, false);
  check(100, true);
  CHECK_ERROR(check(54, false), "instruction 1 (LOAD): race on DRAM byte 54: no token orders it behind");
  CHECK_ERROR(check(100, false), "instruction 1 (LOAD): race on DRAM byte 100");
  CHECK_ERROR(check(104, false), "instruction 1 (LOAD): race on DRAM byte 104");
}

// 40 unsigned steps fit 24 bits where no weight is -8 (test_gemm.cc), as none that is gathered can be,
// wherever its bytes come from.
void TestSafety() {
  const auto safe = [](uint32_t iterations, bool gathers, bool constants) {
    sim::Instruction gemm = testing::MakeGemm(false, 1, iterations);
    std::get<isa::Gemm>(gemm.body).act_unsigned = true;
    std::vector<sim::Instruction> program = {testing::MakeGemm(true, 1, 1), gemm, Finish()};
    if (gathers) program.insert(program.begin(), testing::Make(Gather(1, 8, 1)));
    if (constants) program.insert(program.begin(), Load(sim::Pad::kWgt, 1, 0, 1));
    uint64_t bytes = 0;
    const sim::PreparedProgram prepared = sim::Prepare(testing::Small(), MakeProgram(program),
                                                       std::string(36, '\x88'), {{0, 5}}, false, &bytes);
    return prepared.planned[prepared.planned.size() - 2].safe;
  };
  CHECK_EQ(safe(40, true, false), true);
  CHECK_EQ(safe(45, true, false), false);
  CHECK_EQ(safe(40, true, true), false);
  CHECK_EQ(safe(38, true, true), true);
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestPpu();
  tvm_vsq::TestStore();
  tvm_vsq::TestGather();
  tvm_vsq::TestTheLowestElement();
  tvm_vsq::TestRefusals();
  tvm_vsq::TestPieces();
  tvm_vsq::TestTiming();
  tvm_vsq::TestOrder();
  tvm_vsq::TestSafety();
  return tvm_vsq::testing::Result();
}
