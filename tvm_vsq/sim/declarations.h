// The declarations of all instructions, and questions that any of them answers.
#ifndef TVM_VSQ_SIM_DECLARATIONS_H_
#define TVM_VSQ_SIM_DECLARATIONS_H_

#include <optional>

#include "tvm_vsq/sim/declaration.h"
#include "tvm_vsq/sim/instructions/dwconv.h"
#include "tvm_vsq/sim/instructions/finish.h"
#include "tvm_vsq/sim/instructions/gemm.h"
#include "tvm_vsq/sim/instructions/load.h"
#include "tvm_vsq/sim/instructions/ppu.h"
#include "tvm_vsq/sim/instructions/reduce.h"
#include "tvm_vsq/sim/instructions/store.h"
#include "tvm_vsq/sim/instructions/sync.h"
#include "tvm_vsq/sim/instructions/vec.h"
#include "tvm_vsq/sim/plan.h"

namespace tvm_vsq::sim {

inline bool EndsProgram(const Instruction& instruction) {
  return WithDeclaration(instruction,
                         [](const auto&, auto declared) { return decltype(declared)::kEndsProgram; });
}

inline bool Transfers(const Instruction& instruction) {
  return WithDeclaration(instruction,
                         [](const auto&, auto declared) { return decltype(declared)::kTransfers; });
}

inline std::optional<Transfer> TransferOf(const Instruction& instruction) {
  return WithDeclaration(instruction, [](const auto& insn, auto declared) -> std::optional<Transfer> {
    if constexpr (decltype(declared)::kTransfers) {
      return declared.DramSide(insn);
    } else {
      return std::nullopt;
    }
  });
}

inline std::optional<MicroOpLoops> LoopsOf(const Params& params, const Instruction& instruction) {
  return WithDeclaration(instruction, [&](const auto& insn, auto declared) -> std::optional<MicroOpLoops> {
    if constexpr (decltype(declared)::kMicroOps) {
      return declared.Loops(params, insn);
    } else {
      return std::nullopt;
    }
  });
}

// Calls visit(Access) for all that the instruction touches beside what micro-ops index; the micro-ops
// themselves are the first.
template <typename Visit>
void ForEachAccess(const Params& params, const Instruction& instruction, Visit visit) {
  WithDeclaration(instruction, [&](const auto& insn, auto declared) {
    if constexpr (decltype(declared)::kMicroOps) {
      const MicroOpLoops loops = declared.Loops(params, insn);
      visit(
          Access{Pad::kUop, Use::kRead, "uop_begin", loops.uop_begin, loops.nest.uops, loops.nest.Visits()});
    }
    declared.Accesses(params, insn, visit);
  });
}

// Calls visit(Pad, Use, begin, entries) for what the micro-ops of the instruction index.
template <typename Visit>
void ForEachIndexed(const Params& params, const Instruction& instruction, const MicroOpPlan& plan,
                    Visit visit) {
  WithDeclaration(instruction, [&](const auto& insn, auto declared) {
    if constexpr (decltype(declared)::kMicroOps) {
      size_t number = 0;
      for (const IndexedAccess& access : declared.Loops(params, insn)) {
        for (const MicroOpPlan::Range& range : plan.touched[number])
          visit(access.pad, access.use, uint64_t{range.begin}, uint64_t{range.entries});
        ++number;
      }
    }
  });
}

// Calls visit(Pad, Use, begin, entries) for everything that the instruction touches: first what ForEachAccess
// visits, then what its micro-ops index. `plan` is its own, null without micro-ops.
template <typename Visit>
void ForEachTouched(const Params& params, const Instruction& instruction, const MicroOpPlan* plan,
                    Visit visit) {
  ForEachAccess(params, instruction,
                [&](const Access& access) { visit(access.pad, access.use, access.begin, access.entries); });
  if (plan != nullptr) ForEachIndexed(params, instruction, *plan, visit);
}

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_DECLARATIONS_H_
