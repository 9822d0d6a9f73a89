#include "tvm_vsq/sim/dma.h"

#include "tvm_vsq/sim/bytes.h"

namespace tvm_vsq::sim {
namespace {

// The entries between two borders, or all of them: what is contiguous on both sides.
struct Runs {
  uint64_t entries, columns, rows;

  explicit Runs(const Dma& dma) : entries(dma.z_size), columns(dma.x_size), rows(dma.y_size) {
    if (dma.x_stride == entries || columns == 1) {
      entries *= columns;
      columns = 1;
    }
    const bool borders = dma.x_pad_left > 0 || dma.x_pad_right > 0;
    if (columns == 1 && !borders && (dma.y_stride == entries || rows == 1)) {
      entries *= rows;
      rows = 1;
    }
  }
};

uint64_t Address(const Dma& dma, uint64_t record, uint64_t y, uint64_t x) {
  return dma.dram_base + (y * dma.y_stride + x * dma.x_stride) * record;
}

template <typename Acc>
void StoreAcc(const Program& program, size_t index, const std::vector<Acc>& pad, size_t count, size_t entry,
              size_t lanes, uint8_t* records) {
  for (size_t i = entry * lanes; i < (entry + count) * lanes; ++i, records += 4) {
    const auto value = static_cast<int32_t>(pad[i]);
    if (value != pad[i]) {
      program.FailAt(index, "acc entry ", i / lanes, ", lane ", i % lanes, " holds ", pad[i],
                     ", which does not fit int32; a wide PPU must come before the STORE");
    }
    WriteWord(records, static_cast<uint32_t>(value));
  }
}

}  // namespace

void ExecuteLoad(const RecordCodec& codec, const Params& params, const Dma& dma,
                 const std::vector<uint8_t>& dram, Scratchpads* pads) {
  const auto record = static_cast<uint64_t>(params.RecordBytes(dma.pad));
  const Runs runs(dma);
  uint64_t entry = dma.sram_base;
  const auto border = [&](uint64_t count) {
    if (count > 0) codec.Clear(dma.pad, count, entry, pads);
    entry += count;
  };
  border(dma.y_pad_top * dma.Columns() * dma.z_size);
  for (uint64_t y = 0; y < runs.rows; ++y) {
    border(uint64_t{dma.x_pad_left} * dma.z_size);
    for (uint64_t x = 0; x < runs.columns && runs.entries > 0; ++x, entry += runs.entries) {
      codec.Load(dma.pad, &dram[Address(dma, record, y, x)], runs.entries, entry, pads);
    }
    border(uint64_t{dma.x_pad_right} * dma.z_size);
  }
  border(dma.y_pad_bottom * dma.Columns() * dma.z_size);
}

void ExecuteStore(const RecordCodec& codec, const Params& params, const Program& program, size_t index,
                  const Scratchpads& pads, std::vector<uint8_t>* dram) {
  const auto& dma = std::get<Dma>(program.instructions[index].body);
  const auto record = static_cast<uint64_t>(params.RecordBytes(dma.pad));
  const auto lanes = static_cast<size_t>(params.output_lanes);
  const Runs runs(dma);
  uint64_t entry = dma.sram_base;
  for (uint64_t y = 0; y < runs.rows; ++y) {
    for (uint64_t x = 0; x < runs.columns; ++x, entry += runs.entries) {
      uint8_t* records = &(*dram)[Address(dma, record, y, x)];
      if (dma.pad != Pad::kAcc) {
        codec.StoreOut(pads, runs.entries, entry, records);
      } else if (pads.acc64.empty()) {
        StoreAcc(program, index, pads.acc32, runs.entries, entry, lanes, records);
      } else {
        StoreAcc(program, index, pads.acc64, runs.entries, entry, lanes, records);
      }
    }
  }
}

}  // namespace tvm_vsq::sim
