// LOAD: DRAM to a scratchpad, with a border of zeros.
#ifndef TVM_VSQ_SIM_INSTRUCTIONS_LOAD_H_
#define TVM_VSQ_SIM_INSTRUCTIONS_LOAD_H_

#include "tvm_vsq/sim/declaration.h"
#include "tvm_vsq/sim/execution.h"

namespace tvm_vsq::sim {

inline uint64_t Rows(const isa::Load& load) {
  return uint64_t{load.y_pad_top} + load.y_size + load.y_pad_bottom;
}
inline uint64_t Columns(const isa::Load& load) {
  return uint64_t{load.x_pad_left} + load.x_size + load.x_pad_right;
}

template <>
struct Declared<isa::Load> : Defaults<isa::Load> {
  static constexpr bool kTransfers = true;
  static constexpr bool kLoadsMicroOps = true;

  template <typename Visit>
  static void Accesses(const Params&, const isa::Load& load, Visit visit) {
    const uint64_t entries = Rows(load) * Columns(load) * load.z_size;
    visit(Access{load.mem, Use::kFill, "sram_base", load.sram_base, entries, entries});
  }
  static Transfer DramSide(const isa::Load& load) {
    Transfer transfer = MakeTransfer(load, false);
    if (!load.gather) return transfer;
    transfer.second = true;
    transfer.lanes = load.lanes;
    transfer.lane_stride = load.lane_stride;
    return transfer;
  }

  template <typename Fail>
  static void Check(const Params& params, const isa::Load& load, Fail fail) {
    if (load.gather && load.mem != Pad::kWgt)
      fail("field gather is set, but mem is ", PadName(load.mem), ", must be wgt, whose entries have lanes");
    if (load.gather && load.lanes > params.output_lanes)
      fail("field lanes is ", load.lanes, ", must be at most output_lanes, ", params.output_lanes);
    if (load.gather_unsigned && !load.gather)
      fail("field gather_unsigned is set, but gather is not, whose records have low digits");
    if (load.gather_unsigned && params.precision_passes < 2)
      fail("field gather_unsigned is set, but precision_passes is 1: no element has low digits");
    if (load.gather_unsigned && params.second_bits >= kMaxElementBits)
      fail("field gather_unsigned is set, but second_bits is ", params.second_bits,
           ", as many as an element has: none has low digits");
    if (Rows(load) * Columns(load) == 0) {
      fail("x_size ", load.x_size, " and y_size ", load.y_size, " transfer nothing");
    }
  }

  // Micro-ops are constants, which a program takes when it is loaded.
  static void LoadMicroOps(const Params& params, const isa::Load& load, MicroOps* micro_ops);
};

void Execute(const isa::Load& load, const Execution& execution);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_INSTRUCTIONS_LOAD_H_
