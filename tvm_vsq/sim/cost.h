// Cycles and events of single instructions: the formulas of docs/simulator.md, sections "Cycles" and
// "Events".
#ifndef TVM_VSQ_SIM_COST_H_
#define TVM_VSQ_SIM_COST_H_

#include <array>
#include <cstdint>

#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/params.h"

namespace tvm_vsq::sim {

using EventCounts = std::array<int64_t, isa::kEventCount>;

// Aligned DRAM bursts that the contiguous pieces of a transfer touch.
int64_t CountBursts(const Params& params, const Dma& dma);

class CostModel {
 public:
  explicit CostModel(const Params& params);

  // Cycles that a LOAD or STORE with `bursts` occupies the DRAM channel.
  int64_t ChannelCycles(int64_t bursts) const;

  // Cycles of a compute instruction.
  int64_t ComputeCycles(const Instruction& instruction) const;

  // Adds what one execution of `instruction` counts; `bursts` is used by LOAD and STORE only.
  void AddEvents(const Instruction& instruction, int64_t bursts, EventCounts* counts) const;

 private:
  void AddDma(const Dma& dma, bool store, int64_t bursts, EventCounts* counts) const;
  void AddGemm(const Gemm& gemm, EventCounts* counts) const;
  void AddPpu(const Ppu& ppu, EventCounts* counts) const;

  const Params params_;
  int64_t entry_bits_[kPadCount];
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_COST_H_
