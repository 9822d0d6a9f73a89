#include "tvm_vsq/sim/instructions/load.h"

#include "tvm_vsq/sim/instructions/runs.h"
#include "tvm_vsq/sim/micro_ops.h"
#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::sim {

void Declared<isa::Load>::LoadMicroOps(const Params& params, const isa::Load& load, MicroOps* micro_ops) {
  const auto record = static_cast<uint64_t>(params.uop_record_bytes);
  uint64_t entry = load.sram_base;
  for (uint64_t row = 0; row < Rows(load); ++row) {
    CountWork(4 * Columns(load) * load.z_size);
    for (uint64_t column = 0; column < Columns(load); ++column) {
      const uint64_t y = row - load.y_pad_top, x = column - load.x_pad_left;  // huge before the first
      const bool inside = y < load.y_size && x < load.x_size;
      for (uint64_t z = 0; z < load.z_size; ++z, ++entry) {
        if (inside) {
          micro_ops->Load(entry, load.dram_base + (y * load.y_stride + x * load.x_stride + z) * record);
        } else {
          micro_ops->Clear(entry);
        }
      }
    }
  }
}

namespace {

// The runs of neighbours of a row, one for each group and lane. What no lane is read for is left as it is.
void Gather(const isa::Load& load, const Execution& execution, uint64_t y, uint64_t entry) {
  const auto record = static_cast<uint64_t>(execution.params.second_record_bytes);
  for (uint64_t x = 0; x < load.x_size; ++x, entry += load.z_size) {
    CountWork(uint64_t{load.lanes} * load.z_size);
    for (uint64_t lane = 0; lane < load.lanes; ++lane) {
      const uint64_t at = y * load.y_stride + x * load.x_stride + lane * load.lane_stride;
      const auto lowest =
          execution.codec.LoadLane(&(*execution.dram)[load.dram_base + at * record], load.z_size, entry, lane,
                                   load.gather_unsigned, execution.pads);
      if (!lowest) continue;
      execution.Fail("wgt entry ", lowest->entry, ", lane ", lane, ": element ", lowest->element, " is ",
                     -(1 << (execution.params.second_bits - 1)),
                     ", which no vector of the second-operand form has");
    }
  }
}

}  // namespace

void Execute(const isa::Load& load, const Execution& execution) {
  const uint64_t columns = Columns(load) * load.z_size;
  CountWork(Rows(load) * columns * static_cast<uint64_t>(execution.params.EntryElements(load.mem)) / 16);
  if (load.mem == Pad::kUop) return;  // in the plans already
  const Runs runs(load, load.gather || load.x_pad_left > 0 || load.x_pad_right > 0);
  uint64_t entry = load.sram_base;
  const auto border = [&](uint64_t count) {
    if (count > 0) execution.codec.Clear(load.mem, count, entry, execution.pads);
    entry += count;
  };
  border(load.y_pad_top * columns);
  for (uint64_t y = 0; y < runs.rows; ++y) {
    border(uint64_t{load.x_pad_left} * load.z_size);
    if (load.gather) {
      const uint64_t first = entry, row = uint64_t{load.x_size} * load.z_size;
      border(row);  // the lanes that are not read
      Gather(load, execution, y, first);
      border(uint64_t{load.x_pad_right} * load.z_size);
      continue;
    }
    for (uint64_t x = 0; x < runs.columns && runs.entries > 0; ++x, entry += runs.entries) {
      execution.codec.Load(load.mem, &(*execution.dram)[RunAddress(execution.params, load, y, x)],
                           runs.entries, entry, execution.pads);
    }
    border(uint64_t{load.x_pad_right} * load.z_size);
  }
  border(load.y_pad_bottom * columns);
}

}  // namespace tvm_vsq::sim
