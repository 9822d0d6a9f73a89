// Races on scratchpads: who wrote and read each entry last.
#ifndef TVM_VSQ_SIM_SHADOW_H_
#define TVM_VSQ_SIM_SHADOW_H_

#include <array>
#include <cstdint>
#include <vector>

#include "tvm_vsq/sim/gemm_plan.h"
#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/order.h"
#include "tvm_vsq/sim/params.h"

namespace tvm_vsq::sim {

// Every scratchpad is written by one engine and read by its neighbour in the chain (acc also by its writer),
// so one writer and one reader of each entry say everything. Instructions are visited in program order.
class Shadow {
 public:
  Shadow(const Params& params, const Program& program);

  // All throw Error if the current instruction reads an entry that was never written or whose writer may
  // still be running, or writes an entry whose reader may still be running. Indices must be in range.
  void Read(const Order& order, size_t index, Pad pad, uint64_t begin, uint64_t count);
  void Write(const Order& order, size_t index, Pad pad, uint64_t begin, uint64_t count);
  void VisitDma(const Order& order, size_t index);
  void VisitGemm(const Order& order, size_t index, const GemmPlan& plan);
  void VisitPpu(const Order& order, size_t index, const Params& params);

 private:
  struct Entry {
    uint32_t writer = 0, reader = 0;  // instruction index + 1; 0: none
  };

  void ReadEntry(const Order& order, size_t index, Pad pad, uint64_t entry);
  void WriteEntry(const Order& order, size_t index, Pad pad, uint64_t entry);
  [[noreturn]] void Race(size_t index, Pad pad, uint64_t entry, const char* verb, uint32_t other) const;

  const Program& program_;
  std::array<std::vector<Entry>, kPadCount> entries_;
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_SHADOW_H_
