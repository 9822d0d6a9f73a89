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
  bool second = false;  // records are of the second-operand form
  // Where a record is one lane of an entry: how many there are, in this distance; else 0.
  uint32_t lanes = 0, lane_stride = 0;

  uint64_t Entries() const { return uint64_t{y_size} * x_size * z_size; }
};

inline uint64_t RecordBytes(const Params& params, const Transfer& transfer) {
  return static_cast<uint64_t>(transfer.second ? params.second_record_bytes
                                               : params.RecordBytes(transfer.pad));
}

// The DRAM side of an instruction that has these fields.
template <typename Insn>
Transfer MakeTransfer(const Insn& insn, bool writes_dram) {
  return {insn.mem,    writes_dram, insn.dram_base, insn.z_size,
          insn.x_size, insn.y_size, insn.x_stride,  insn.y_stride};
}

// Calls visit(begin, bytes) for each contiguous piece: neighbouring groups, then neighbouring rows, are one
// piece where nothing lies between them. Where a record is a lane, each of its runs of neighbours is a piece.
template <typename Visit>
void ForEachPiece(const Params& params, const Transfer& transfer, Visit visit) {
  if (transfer.Entries() == 0) return;
  const uint64_t record = RecordBytes(params, transfer);
  const auto at = [&](uint64_t y, uint64_t x, uint64_t lane) {
    const uint64_t records = y * transfer.y_stride + x * transfer.x_stride + lane * transfer.lane_stride;
    return transfer.dram_base + records * record;
  };
  if (transfer.lanes > 0) {
    CountWork(uint64_t{transfer.y_size} * transfer.x_size * transfer.lanes);
    for (uint64_t y = 0; y < transfer.y_size; ++y) {
      for (uint64_t x = 0; x < transfer.x_size; ++x) {
        for (uint64_t lane = 0; lane < transfer.lanes; ++lane)
          visit(at(y, x, lane), transfer.z_size * record);
      }
    }
    return;
  }
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
    for (uint64_t x = 0; x < columns; ++x) visit(at(y, x, 0), piece * record);
  }
}

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_TRANSFER_H_
