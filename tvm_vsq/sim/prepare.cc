#include "tvm_vsq/sim/prepare.h"

#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "tvm_vsq/sim/declarations.h"
#include "tvm_vsq/sim/limits.h"
#include "tvm_vsq/sim/micro_ops.h"
#include "tvm_vsq/sim/order.h"
#include "tvm_vsq/sim/overflow.h"
#include "tvm_vsq/sim/poll.h"
#include "tvm_vsq/sim/shadow.h"
#include "tvm_vsq/sim/weight_range.h"

namespace tvm_vsq::sim {
namespace {

// Instructions often repeat with other data in the scratchpads.
class Planner {
 public:
  using Plans = std::vector<std::unique_ptr<const MicroOpPlan>>;

  Planner(const Params& params, const Program& program, uint64_t* bytes)
      : params_(params), program_(program), bytes_(*bytes) {}

  // The plan of an instruction that has micro-ops; they are `uops`.
  template <typename Insn>
  const MicroOpPlan* Plan(size_t index, const Insn& insn, const Uop* uops, Plans* plans) {
    const MicroOpLoops loops = Declared<Insn>::Loops(params_, insn);
    CountWork(uint64_t{8} * loops.nest.uops);
    std::vector<uint32_t> key = {static_cast<uint32_t>(program_.instructions[index].body.index()),
                                 loops.nest.out, loops.nest.in};
    for (const IndexedAccess& access : loops) {
      key.insert(key.end(),
                 {static_cast<uint32_t>(access.pad), static_cast<uint32_t>(access.use), access.out, access.in,
                  access.nest.uops, access.nest.out, access.nest.in, access.width, access.taps.rows,
                  access.taps.columns, access.taps.row_step, access.taps.column_step});
    }
    static_assert(sizeof(Uop) % sizeof(uint32_t) == 0);
    const size_t fields = key.size();
    key.resize(fields + loops.nest.uops * (sizeof(Uop) / sizeof(uint32_t)));
    std::memcpy(&key[fields], uops, loops.nest.uops * sizeof(Uop));
    const auto [found, is_new] = index_.emplace(std::move(key), nullptr);
    if (is_new) {
      plans->push_back(Declared<Insn>::MakePlan(params_, insn, uops));
      found->second = plans->back().get();
      Declared<Insn>::CheckPlan(params_, insn, *found->second,
                                [&](const auto&... parts) { program_.FailAt(index, parts...); });
      bytes_ += found->second->Bytes() + found->first.size() * sizeof(uint32_t);
      if (bytes_ > kMaxPreparedBytes) {
        program_.FailAt(index, program_.instructions[index].info().name,
                        " instructions differ so much that preparing them takes more than ",
                        kMaxPreparedBytes, " bytes; this one is number ", plans->size());
      }
    }
    return found->second;
  }

 private:
  const Params& params_;
  const Program& program_;
  std::map<std::vector<uint32_t>, const MicroOpPlan*> index_;
  uint64_t& bytes_;
};

// Marks the safe instructions; returns whether all are.
bool MarkSafe(const Params& params, const Program& program, int64_t max_weight, PreparedProgram* prepared) {
  AccumulatorBounds bounds(params, max_weight);
  bool all = true;
  for (size_t i = 0; i < program.instructions.size(); ++i) {
    CountWork(1);
    PreparedProgram::Planned& planned = prepared->planned[i];
    planned.safe = bounds.Visit(params, program.instructions[i], planned.plan);
    all = all && planned.safe;
  }
  return all;
}

}  // namespace

PreparedProgram Prepare(const Params& params, const Program& program, std::string_view image,
                        const std::vector<ByteRange>& inputs, bool verify, uint64_t* bytes) {
  const WrittenBytes written(params, program, inputs);
  MicroOps micro_ops(params, program, image, written);
  Planner planner(params, program, bytes);
  std::optional<Order> order;
  std::optional<Shadow> shadow;
  if (verify) {
    order.emplace(program);
    shadow.emplace(params, program);
  }
  *bytes += written.ranges().size() * sizeof(ByteRange);
  PreparedProgram prepared;
  prepared.planned.resize(program.instructions.size());
  for (size_t i = 0; i < program.instructions.size(); ++i) {
    const Instruction& instruction = program.instructions[i];
    const MicroOpPlan*& plan = prepared.planned[i].plan;
    CountWork(16);
    // What micro-ops index is known once they are.
    if (verify) {
      order->Begin(i);
      shadow->Begin(*order, i);
      ForEachAccess(params, instruction, [&](const Access& access) {
        if (Reads(access.use)) shadow->Read(access.pad, access.begin, access.entries);
      });
    }
    WithDeclaration(instruction, [&](const auto& insn, auto declared) {
      if constexpr (decltype(declared)::kLoadsMicroOps) {
        if (declared.DramSide(insn).pad == Pad::kUop) {
          micro_ops.CheckConstants(i);
          declared.LoadMicroOps(params, insn, &micro_ops);
        }
      }
      if constexpr (decltype(declared)::kMicroOps) {
        const MicroOpLoops loops = declared.Loops(params, insn);
        micro_ops.CheckIndices(i, loops);
        plan = planner.Plan(i, insn, &micro_ops.uops()[loops.uop_begin], &prepared.plans);
      }
    });
    if (verify) {
      if (plan != nullptr) {
        ForEachIndexed(params, instruction, *plan, [&](Pad pad, Use use, uint64_t begin, uint64_t entries) {
          if (Reads(use)) shadow->Read(pad, begin, entries);
        });
      }
      ForEachTouched(params, instruction, plan, [&](Pad pad, Use use, uint64_t begin, uint64_t entries) {
        if (Writes(use)) shadow->Write(pad, begin, entries);
      });
      order->End(i);
    }
  }
  const int64_t lowest = int64_t{1} << (params.weight_bits - 1);
  // The lowest code is seldom used, and looking for it takes a while.
  if (!MarkSafe(params, program, lowest, &prepared) && WeightsAreSymmetric(params, program, image, written)) {
    MarkSafe(params, program, lowest - 1, &prepared);
  }
  prepared.written = written.ranges();
  return prepared;
}

}  // namespace tvm_vsq::sim
