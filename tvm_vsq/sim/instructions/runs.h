// What LOAD and STORE move at once.
#ifndef TVM_VSQ_SIM_INSTRUCTIONS_RUNS_H_
#define TVM_VSQ_SIM_INSTRUCTIONS_RUNS_H_

#include <cstdint>

#include "tvm_vsq/sim/declaration.h"
#include "tvm_vsq/sim/params.h"

namespace tvm_vsq::sim {

// The entries between two borders, or all of them: what is contiguous on both sides.
struct Runs {
  uint64_t entries, columns, rows;

  // `borders`: whether entries that are not in DRAM lie between the rows, or rows are not to be joined.
  template <typename Insn>
  Runs(const Insn& insn, bool borders) : entries(insn.z_size), columns(insn.x_size), rows(insn.y_size) {
    if (insn.x_stride == entries || columns == 1) {
      entries *= columns;
      columns = 1;
    }
    if (columns == 1 && !borders && (insn.y_stride == entries || rows == 1)) {
      entries *= rows;
      rows = 1;
    }
  }
};

// The DRAM byte of a run.
template <typename Insn>
uint64_t RunAddress(const Params& params, const Insn& insn, uint64_t y, uint64_t x) {
  const uint64_t record = RecordBytes(params, Declared<Insn>::DramSide(insn));
  return insn.dram_base + (y * insn.y_stride + x * insn.x_stride) * record;
}

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_INSTRUCTIONS_RUNS_H_
