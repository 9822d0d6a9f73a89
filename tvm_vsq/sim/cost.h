// Cycles and events of single instructions: the formulas of docs/simulator.md, sections "Cycles" and
// "Events".
#ifndef TVM_VSQ_SIM_COST_H_
#define TVM_VSQ_SIM_COST_H_

#include <array>
#include <cstdint>

#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/params.h"
#include "tvm_vsq/sim/transfer.h"

namespace tvm_vsq::sim {

using EventCounts = std::array<int64_t, isa::kEventCount>;

// What an instruction asks of its engine, and, if it transfers, of DRAM and of its scratchpad.
struct Cost {
  bool transfers = false;
  int64_t cycles = 0;           // without conflicts; of a transfer, its set-up
  int64_t conflict_cycles = 0;  // what bank conflicts add
  int64_t bursts = 0;           // aligned ones that its contiguous pieces touch
  int64_t row_cycles = 0;       // opening DRAM rows
  int64_t bank_cycles = 0;      // its entries, border included, through the ports of the scratchpad's banks
};

// Division by a constant that is mostly a power of two.
class Divider {
 public:
  explicit Divider(uint64_t divisor);
  uint64_t operator()(uint64_t value) const { return shift_ >= 0 ? value >> shift_ : value / divisor_; }

 private:
  uint64_t divisor_;
  int shift_ = -1;
};

class CostModel {
 public:
  explicit CostModel(const Params& params);

  Cost CostOf(const Instruction& instruction) const;

  // Adds what one execution of `instruction` counts; `bursts` are those of its transfer.
  void AddEvents(const Instruction& instruction, int64_t bursts, EventCounts* counts) const;

 private:
  void AddTransfer(const Transfer& transfer, Cost* cost) const;

  const Params params_;
  const Divider burst_of_, row_of_;
  int64_t entry_bits_[kPadCount];
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_COST_H_
