// What an instruction declares of itself: a specialization of Declared in sim/instructions/, which the
// checks, the proofs, the costs and the machine read. Execution is written by hand beside it;
// test_declarations.cc compares the two.
#ifndef TVM_VSQ_SIM_DECLARATION_H_
#define TVM_VSQ_SIM_DECLARATION_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/params.h"
#include "tvm_vsq/sim/transfer.h"

namespace tvm_vsq::sim {

enum class Use : uint8_t {
  kRead,
  kFill,        // whatever was there is gone
  kAccumulate,  // what is there afterwards depends on what was there before
};
inline bool Reads(Use use) { return use != Use::kFill; }
inline bool Writes(Use use) { return use != Use::kRead; }

// Neighbouring entries, each of which is touched.
struct Access {
  Pad pad;
  Use use;
  const char* field;  // that holds `begin`
  uint64_t begin, entries;
  uint64_t visits;  // how often entries are read or written altogether
};

// For o < out, i < in: so many micro-ops, the first ones.
struct Nest {
  uint32_t uops = 0, out = 0, in = 0;

  uint64_t Visits() const { return uint64_t{uops} * out * in; }
};

// Places that a micro-op uses at once: (r, c) lies r * row_step + c * column_step behind its entry.
struct Taps {
  uint32_t rows = 1, columns = 1, row_step = 0, column_step = 0;

  // How far the last one lies behind the first.
  uint64_t Reach() const { return uint64_t{rows - 1} * row_step + uint64_t{columns - 1} * column_step; }
};

// `width` entries from uop.*index + o * out + i * in on, for every micro-op and iteration of `nest`, and for
// every one of its `taps`. Entries that the instruction fills held nothing before, and do not belong to what
// it accumulates.
struct IndexedAccess {
  Pad pad = Pad::kAcc;
  Use use = Use::kRead;
  uint32_t isa::Uop::* index = nullptr;
  uint32_t out = 0, in = 0;
  Nest nest;
  uint64_t visits = 0;  // how often entries are read or written altogether
  uint32_t width = 1;
  Taps taps = {};
};

// The micro-ops are those from uop_begin on.
struct MicroOpLoops {
  static constexpr size_t kMaxAccesses = 4;

  uint32_t uop_begin = 0;
  Nest nest;
  std::array<IndexedAccess, kMaxAccesses> accesses{};
  size_t access_count = 0;

  // In the whole nest.
  void Add(Pad pad, Use use, uint32_t isa::Uop::* index, uint32_t out, uint32_t in, uint32_t width = 1) {
    Add({pad, use, index, out, in, nest, nest.Visits() * width, width});
  }
  void Add(const IndexedAccess& access) { accesses[access_count++] = access; }
  const IndexedAccess* begin() const { return accesses.data(); }
  const IndexedAccess* end() const { return accesses.data() + access_count; }
};

struct MicroOpPlan;
class AccumulatorBounds;
class MicroOps;

// What holds of an instruction that says nothing else. `Insn` is its struct in isa.h.
template <typename Insn>
struct Defaults {
  static constexpr bool kEndsProgram = false;
  // Whether it moves data between DRAM and the scratchpads: then it has DramSide, takes the time of that, and
  // its results appear after the latency of DRAM.
  static constexpr bool kTransfers = false;
  // Whether it has Loops, and MakePlan for what its execution wants prepared.
  static constexpr bool kMicroOps = false;
  // Whether it has Bound. Without, its accumulators may be anything afterwards.
  static constexpr bool kBounds = false;
  // Whether it has LoadMicroOps, for a transfer to the scratchpad of micro-ops.
  static constexpr bool kLoadsMicroOps = false;

  // Calls visit(Access) for all that it touches beside what micro-ops index.
  template <typename Visit>
  static void Accesses(const Params&, const Insn&, Visit) {}

  // Calls fail(parts of the message...) for fields that contradict each other.
  template <typename Fail>
  static void Check(const Params&, const Insn&, Fail) {}

  // The same, for an instruction with micro-ops, for what they and its fields together make impossible.
  template <typename Fail>
  static void CheckPlan(const Params&, const Insn&, const MicroOpPlan&, Fail) {}

  // Cycles of its engine without conflicts, and what bank conflicts add; unless it transfers.
  static int64_t Cycles(const Params&, const Insn&) { return 1; }
  static int64_t ConflictCycles(const Params&, const Insn&) { return 0; }

  // Calls count(isa::Event, n) for what follows from no access and no transfer.
  template <typename Count>
  static void Events(const Params&, const Insn&, Count) {}
};

template <typename Insn>
struct Declared;

// Calls visit(instruction, Declared of it).
template <typename Visit>
decltype(auto) WithDeclaration(const Instruction& instruction, Visit visit) {
  return std::visit(
      [&](const auto& insn) -> decltype(auto) {
        return visit(insn, Declared<std::decay_t<decltype(insn)>>());
      },
      instruction.body);
}

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_DECLARATION_H_
