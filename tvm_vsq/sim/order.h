// What the tokens of a program prove about the order of its instructions, whatever the timing (vector
// clocks).
#ifndef TVM_VSQ_SIM_ORDER_H_
#define TVM_VSQ_SIM_ORDER_H_

#include <array>
#include <cstddef>
#include <deque>

#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/tokens.h"

namespace tvm_vsq::sim {

// Visit the instructions in program order: Begin, any questions, End.
class Order {
 public:
  explicit Order(const Program& program) : program_(program) {}

  // Throws Error if the instruction pops a token that no earlier instruction pushes.
  void Begin(size_t index);
  void End(size_t index);

  // All instructions of `engine` before this index are complete when the current instruction starts.
  size_t CompleteBefore(Engine engine) const { return clock_[current_][static_cast<size_t>(engine)]; }

 private:
  using Clock = std::array<size_t, kEngineCount>;

  const Program& program_;
  std::array<Clock, kEngineCount> clock_{};
  std::array<std::deque<Clock>, kTokenQueueCount> tokens_;
  size_t current_ = 0;
};

// Throws Error if the tokens leave it to timing what a transfer sees of what another one writes to the same
// bytes of DRAM, whether FINISH waits for every instruction, or if a token is popped before its push in
// program order.
void CheckOrder(const Params& params, const Program& program);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_ORDER_H_
