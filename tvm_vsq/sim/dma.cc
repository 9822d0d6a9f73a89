#include "tvm_vsq/sim/dma.h"

#include "tvm_vsq/sim/bytes.h"

namespace tvm_vsq::sim {
namespace {

uint64_t Address(const Dma& dma, uint64_t record, uint64_t y, uint64_t x, uint64_t z) {
  return dma.dram_base + (y * dma.y_stride + x * dma.x_stride + z) * record;
}

template <typename Acc>
void StoreAcc(const Program& program, size_t index, const std::vector<Acc>& pad, uint64_t entry, size_t lanes,
              uint8_t* record) {
  const Acc* acc = &pad[entry * lanes];
  for (size_t b = 0; b < lanes; ++b) {
    if (acc[b] != static_cast<int32_t>(acc[b])) {
      program.FailAt(index, "acc entry ", entry, ", lane ", b, " holds ", acc[b],
                     ", which does not fit int32; a wide PPU must come before the STORE");
    }
    WriteLittleEndian(record + 4 * b, 4, static_cast<uint64_t>(acc[b]));
  }
}

}  // namespace

void ExecuteLoad(const RecordCodec& codec, const Params& params, const Dma& dma,
                 const std::vector<uint8_t>& dram, Scratchpads* pads) {
  const auto record = static_cast<uint64_t>(params.RecordBytes(dma.pad));
  uint64_t entry = dma.sram_base;
  for (uint64_t row = 0; row < dma.Rows(); ++row) {
    const bool row_inside = row >= dma.y_pad_top && row < uint64_t{dma.y_pad_top} + dma.y_size;
    for (uint64_t column = 0; column < dma.Columns(); ++column) {
      const bool inside =
          row_inside && column >= dma.x_pad_left && column < uint64_t{dma.x_pad_left} + dma.x_size;
      for (uint64_t z = 0; z < dma.z_size; ++z) {
        const uint8_t* source =
            inside ? &dram[Address(dma, record, row - dma.y_pad_top, column - dma.x_pad_left, z)] : nullptr;
        codec.Load(dma.pad, source, entry++, pads);
      }
    }
  }
}

void ExecuteStore(const RecordCodec& codec, const Params& params, const Program& program, size_t index,
                  const Scratchpads& pads, std::vector<uint8_t>* dram) {
  const auto& dma = std::get<Dma>(program.instructions[index].body);
  const auto record = static_cast<uint64_t>(params.RecordBytes(dma.pad));
  const auto lanes = static_cast<size_t>(params.output_lanes);
  uint64_t entry = dma.sram_base;
  for (uint64_t y = 0; y < dma.y_size; ++y) {
    for (uint64_t x = 0; x < dma.x_size; ++x) {
      for (uint64_t z = 0; z < dma.z_size; ++z, ++entry) {
        uint8_t* target = &(*dram)[Address(dma, record, y, x, z)];
        if (dma.pad != Pad::kAcc) {
          codec.StoreOut(pads, entry, target);
        } else if (pads.acc64.empty()) {
          StoreAcc(program, index, pads.acc32, entry, lanes, target);
        } else {
          StoreAcc(program, index, pads.acc64, entry, lanes, target);
        }
      }
    }
  }
}

}  // namespace tvm_vsq::sim
