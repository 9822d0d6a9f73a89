// Strided blocks of records in DRAM, as LOAD and STORE move them.
#ifndef TVM_VSQ_SIM_TRANSFER_H_
#define TVM_VSQ_SIM_TRANSFER_H_

#include <cstdint>

#include "tvm_vsq/sim/params.h"
#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::sim {

// y_size x x_size x z_size records of `pad`, which lie dense in the scratchpad.
struct Transfer {
  Pad pad;
  bool writes_dram;
  uint64_t dram_base;
  uint32_t z_size, x_size, y_size, x_stride, y_stride;

  uint64_t Entries() const { return uint64_t{y_size} * x_size * z_size; }
};

// The DRAM side of an instruction that has these fields.
template <typename Insn>
Transfer MakeTransfer(const Insn& insn, bool writes_dram) {
  return {insn.mem,    writes_dram, insn.dram_base, insn.z_size,
          insn.x_size, insn.y_size, insn.x_stride,  insn.y_stride};
}

// Calls visit(begin, bytes) for each contiguous piece: neighbouring groups, then neighbouring rows, are one
// piece where nothing lies between them.
template <typename Visit>
void ForEachPiece(const Params& params, const Transfer& transfer, Visit visit) {
  if (transfer.Entries() == 0) return;
  const auto record = static_cast<uint64_t>(params.RecordBytes(transfer.pad));
  uint64_t piece = transfer.z_size, columns = transfer.x_size, rows = transfer.y_size;
  if (transfer.x_stride == piece || columns == 1) {
    piece *= columns;
    columns = 1;
  }
  if (columns == 1 && (transfer.y_stride == piece || rows == 1)) {
    piece *= rows;
    rows = 1;
  }
  CountWork(rows * columns);
  for (uint64_t y = 0; y < rows; ++y) {
    for (uint64_t x = 0; x < columns; ++x) {
      visit(transfer.dram_base + (y * transfer.y_stride + x * transfer.x_stride) * record, piece * record);
    }
  }
}

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_TRANSFER_H_
