#include "tvm_vsq/sim/instructions/store.h"

#include <vector>

#include "tvm_vsq/sim/bytes.h"
#include "tvm_vsq/sim/instructions/runs.h"
#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::sim {
namespace {

template <typename Acc>
void StoreAcc(const Execution& execution, const std::vector<Acc>& pad, size_t count, size_t entry,
              uint8_t* records) {
  const auto lanes = static_cast<size_t>(execution.params.output_lanes);
  for (size_t i = entry * lanes; i < (entry + count) * lanes; ++i, records += 4) {
    const auto value = static_cast<int32_t>(pad[i]);
    if (value != pad[i]) {
      execution.Fail("acc entry ", i / lanes, ", lane ", i % lanes, " holds ", pad[i],
                     ", which does not fit int32; a wide PPU must come before the STORE");
    }
    WriteWord(records, static_cast<uint32_t>(value));
  }
}

}  // namespace

void Execute(const isa::Store& store, const Execution& execution) {
  const Scratchpads& pads = *execution.pads;
  const Runs runs(store, false);
  uint64_t entry = store.sram_base;
  for (uint64_t y = 0; y < runs.rows; ++y) {
    for (uint64_t x = 0; x < runs.columns; ++x, entry += runs.entries) {
      uint8_t* records = &(*execution.dram)[RunAddress(execution.params, store, y, x)];
      if (store.second) {
        execution.codec.StoreSecond(pads, runs.entries, entry, records);
      } else if (store.mem != Pad::kAcc) {
        execution.codec.StoreOut(pads, runs.entries, entry, records);
      } else if (pads.acc64.empty()) {
        StoreAcc(execution, pads.acc32, runs.entries, entry, records);
      } else {
        StoreAcc(execution, pads.acc64, runs.entries, entry, records);
      }
    }
  }
  CountWork((entry - store.sram_base) * static_cast<uint64_t>(execution.params.EntryElements(store.mem)) /
            16);
}

}  // namespace tvm_vsq::sim
