// LOAD and STORE: which bytes they touch, and what they do.
#ifndef TVM_VSQ_SIM_DMA_H_
#define TVM_VSQ_SIM_DMA_H_

#include <cstdint>
#include <vector>

#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/params.h"
#include "tvm_vsq/sim/poll.h"
#include "tvm_vsq/sim/record.h"
#include "tvm_vsq/sim/scratchpads.h"

namespace tvm_vsq::sim {

// Calls visit(begin, bytes) for each contiguous piece of the DRAM side: neighbouring groups, then
// neighbouring rows, are one piece where nothing lies between them.
template <typename Visit>
void ForEachPiece(const Params& params, const Dma& dma, Visit visit) {
  if (dma.DramEntries() == 0) return;
  const auto record = static_cast<uint64_t>(params.RecordBytes(dma.pad));
  uint64_t piece = dma.z_size, columns = dma.x_size, rows = dma.y_size;
  if (dma.x_stride == piece || columns == 1) {
    piece *= columns;
    columns = 1;
  }
  if (columns == 1 && (dma.y_stride == piece || rows == 1)) {
    piece *= rows;
    rows = 1;
  }
  CountWork(rows * columns);
  for (uint64_t y = 0; y < rows; ++y) {
    for (uint64_t x = 0; x < columns; ++x) {
      visit(dma.dram_base + (y * dma.y_stride + x * dma.x_stride) * record, piece * record);
    }
  }
}

// Both need a program that CheckProgram accepted and `dram` of program.dram_bytes bytes.
void ExecuteLoad(const RecordCodec& codec, const Params& params, const Dma& dma,
                 const std::vector<uint8_t>& dram, Scratchpads* pads);

// Throws Error for an accumulator that does not fit int32 (only wide PPU results are meant to be stored).
void ExecuteStore(const RecordCodec& codec, const Params& params, const Program& program, size_t index,
                  const Scratchpads& pads, std::vector<uint8_t>* dram);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_DMA_H_
