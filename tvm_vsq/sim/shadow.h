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

// Of each entry, the last writer, whichever engine it belongs to, and the last reader of each engine: all
// earlier ones come before these in the order that was checked already. Instructions are visited in program
// order.
class Shadow {
 public:
  Shadow(const Params& params, const Program& program);

  // The current instruction, `index`, reads entries. Throws Error for one that was never written or whose
  // writer may still be running.
  void Read(const Order& order, size_t index, Pad pad, uint64_t begin, uint64_t count);
  // It writes them. Throws Error for one whose writer or a reader of which may still be running.
  void Write(const Order& order, size_t index, Pad pad, uint64_t begin, uint64_t count);

 private:
  // [entry]: instruction index + 1; 0: none.
  using Last = std::vector<int32_t>;
  struct Entries {
    Last writer;
    std::array<Last, kEngineCount> reader;    // empty before the engine's first
    std::array<bool, kEngineCount> writes{};  // which engines ever did
  };

  // The instructions of `engine` before this one are no danger to one of `self`: complete, or in order with
  // it.
  static int32_t SafeBefore(const Order& order, Engine self, size_t engine);
  // The same for those of every engine that wrote any of the entries.
  static int32_t SafeBefore(const Order& order, Engine self, const Entries& entries);
  bool Safe(const Order& order, Engine self, int32_t instruction) const;
  [[noreturn]] void Race(size_t index, Pad pad, uint64_t entry, const char* verb, int32_t other) const;

  const Program& program_;
  std::array<Entries, kPadCount> pads_;
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_SHADOW_H_
