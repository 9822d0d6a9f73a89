#include "tvm_vsq/sim/check.h"

#include <algorithm>

#include "tvm_vsq/sim/declarations.h"
#include "tvm_vsq/sim/poll.h"
#include "tvm_vsq/sim/tokens.h"

namespace tvm_vsq::sim {
namespace {

class Checker {
 public:
  Checker(const Params& params, const Program& program) : params_(params), program_(program) {}

  void Check(size_t index) {
    index_ = index;
    const Instruction& instruction = program_.instructions[index];
    CheckTokens(instruction);
    WithDeclaration(instruction, [&](const auto& insn, auto declared) {
      insn.ForEachField(insn, [&](const isa::FieldInfo& field, auto, const auto& value) {
        if (field.pads == nullptr) CheckField(field, static_cast<uint64_t>(value));
      });
      ForEachAccess(params_, instruction, [&](const Access& access) { CheckRange(access); });
      declared.Check(params_, insn, [&](const auto&... parts) { Fail(parts...); });
      if constexpr (decltype(declared)::kTransfers) CheckTransfer(declared.DramSide(insn));
    });
  }

 private:
  template <typename... Parts>
  [[noreturn]] void Fail(const Parts&... parts) const {
    program_.FailAt(index_, parts...);
  }

  void CheckTokens(const Instruction& instruction) const {
    const Engine engine = instruction.engine();
    for (int token = 0; token < isa::kTokenCount; ++token) {
      const bool set = (instruction.tokens & isa::BitOf(static_cast<isa::Token>(token))) != 0;
      if (!set || HasRoute(engine, static_cast<isa::Token>(token))) continue;
      Fail("field ", isa::kTokens[token].name, " is set, but ", kEngineNames[static_cast<int>(engine)],
           " has no queue to or from ", kEngineNames[static_cast<int>(isa::kTokens[token].engine)]);
    }
  }

  void CheckField(const isa::FieldInfo& field, uint64_t value) const {
    if (!field.used) return;
    if (value < field.low) Fail("field ", field.name, " is ", value, ", must be at least ", field.low);
    if (value > field.high) Fail("field ", field.name, " is ", value, ", must be at most ", field.high);
  }

  // All operands are below 2^40, so that sums and products of two counts stay far from 2^64.
  void CheckRange(const Access& access) const {
    const auto depth = static_cast<uint64_t>(params_.Depth(access.pad));
    if (access.begin + access.entries <= depth) return;
    Fail("field ", access.field, " ", access.begin, " + ", access.entries, " entries exceeds the ", depth,
         " entries of scratchpad ", PadName(access.pad));
  }

  void CheckTransfer(const Transfer& transfer) const {
    if (transfer.Entries() == 0) return;
    const uint64_t last = uint64_t{transfer.y_size - 1} * transfer.y_stride +
                          uint64_t{transfer.x_size - 1} * transfer.x_stride +
                          uint64_t{std::max(1u, transfer.lanes) - 1} * transfer.lane_stride + transfer.z_size;
    const uint64_t end = transfer.dram_base + last * RecordBytes(params_, transfer);
    if (end > program_.dram_bytes) {
      Fail("field dram_base ", transfer.dram_base, ": the transfer ends at byte ", end, " of ",
           program_.dram_bytes, " bytes of DRAM");
    }
  }

  const Params& params_;
  const Program& program_;
  size_t index_ = 0;
};

}  // namespace

void CheckProgram(const Params& params, const Program& program) {
  const size_t count = program.instructions.size();
  Checker checker(params, program);
  for (size_t i = 0; i < count; ++i) {
    if (EndsProgram(program.instructions[i]) && i + 1 != count) {
      program.FailAt(i, program.instructions[i].info().name, " must be the last of the ", count,
                     " instructions");
    }
    CountWork(8);
    checker.Check(i);
  }
  if (count == 0 || !EndsProgram(program.instructions.back())) {
    Fail("the program of ", count, " instructions has no FINISH at its end");
  }
}

}  // namespace tvm_vsq::sim
