// STORE: a scratchpad to DRAM.
#ifndef TVM_VSQ_SIM_INSTRUCTIONS_STORE_H_
#define TVM_VSQ_SIM_INSTRUCTIONS_STORE_H_

#include "tvm_vsq/sim/declaration.h"
#include "tvm_vsq/sim/execution.h"

namespace tvm_vsq::sim {

template <>
struct Declared<isa::Store> : Defaults<isa::Store> {
  static constexpr bool kTransfers = true;

  template <typename Visit>
  static void Accesses(const Params&, const isa::Store& store, Visit visit) {
    const uint64_t entries = DramSide(store).Entries();
    visit(Access{store.mem, Use::kRead, "sram_base", store.sram_base, entries, entries});
  }
  static Transfer DramSide(const isa::Store& store) {
    Transfer transfer = MakeTransfer(store, true);
    transfer.second = store.second;
    return transfer;
  }

  template <typename Fail>
  static void Check(const Params&, const isa::Store& store, Fail fail) {
    if (store.second && store.mem != Pad::kOut)
      fail("field second is set, but mem is ", PadName(store.mem), ", must be out, which holds vectors");
  }
};

// Throws Error for an accumulator that does not fit int32 (only wide PPU results are meant to be stored).
void Execute(const isa::Store& store, const Execution& execution);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_INSTRUCTIONS_STORE_H_
