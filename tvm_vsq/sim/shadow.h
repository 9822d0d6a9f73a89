// Races on scratchpads: who wrote and read each entry last.
#ifndef TVM_VSQ_SIM_SHADOW_H_
#define TVM_VSQ_SIM_SHADOW_H_

#include <array>
#include <cstdint>
#include <vector>

#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/order.h"
#include "tvm_vsq/sim/params.h"

namespace tvm_vsq::sim {

// Of each entry, the last writer and the last reader of each engine: all earlier ones come before these in
// the order that was checked already. Instructions are visited in program order.
class Shadow {
 public:
  Shadow(const Params& params, const Program& program);

  // What follows is of this instruction, behind order.Begin(index).
  void Begin(const Order& order, size_t index);
  // It reads entries. Throws Error for one that was never written or whose writer may still be running.
  void Read(Pad pad, uint64_t begin, uint64_t count);
  // It writes them. Throws Error for one whose writer or a reader of which may still be running.
  void Write(Pad pad, uint64_t begin, uint64_t count);

 private:
  // [engine][entry]: instruction index + 1; 0: none. Empty before the engine's first.
  using Last = std::array<std::vector<int32_t>, kEngineCount>;
  struct Entries {
    std::vector<uint8_t> written;  // [entry], 0 or 1
    Last writer, reader;
  };

  // Whether the instruction comes behind all of these.
  bool Ordered(const Last& last, uint64_t begin, uint64_t count) const;
  // Throws Error for the first of the entries of which that is not so.
  [[noreturn]] void Race(Pad pad, const Last& last, uint64_t begin, const char* verb) const;
  // It is the last one of its engine.
  void Enter(uint64_t begin, uint64_t count, const Entries& entries, Last* last) const;

  const Program& program_;
  std::array<Entries, kPadCount> pads_;
  size_t index_ = 0, self_ = 0;  // the instruction, and its engine
  // Instructions of each engine before this one are no danger to it: complete, or in order with it.
  std::array<int32_t, kEngineCount> safe_before_{};
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_SHADOW_H_
