// Instructions with micro-ops, rearranged for the host when a program is loaded.
#ifndef TVM_VSQ_SIM_PLAN_H_
#define TVM_VSQ_SIM_PLAN_H_

#include <array>
#include <cstdint>
#include <vector>

#include "tvm_vsq/sim/declaration.h"
#include "tvm_vsq/sim/params.h"

namespace tvm_vsq::sim {

using isa::Uop;

// Instructions of equal loops and micro-ops share a plan; those of each kind may add to it what their
// execution wants, which follows from the loops and the micro-ops alone.
struct MicroOpPlan {
  struct Range {
    uint32_t begin, entries;
  };
  using Ranges = std::vector<Range>;

  virtual ~MicroOpPlan() = default;
  virtual uint64_t Bytes() const;

  std::vector<Uop> uops;  // those of the instruction, in its order
  // By access of the loops, fills first: the entries that it touches, in order.
  std::array<Ranges, MicroOpLoops::kMaxAccesses> touched;
};

// `uops[0, loops.nest.uops)` are the instruction's; their indices stay inside the scratchpads.
void FillPlan(const Params& params, const MicroOpLoops& loops, const Uop* uops, MicroOpPlan* plan);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_PLAN_H_
