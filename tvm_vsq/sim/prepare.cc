#include "tvm_vsq/sim/prepare.h"

#include <map>
#include <optional>
#include <utility>

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
  Planner(const Params& params, const Program& program, uint64_t* bytes)
      : params_(params), program_(program), bytes_(*bytes) {}

  const GemmPlan* Plan(size_t index, const Uop* uops, std::vector<std::unique_ptr<const GemmPlan>>* plans) {
    const auto& gemm = std::get<Gemm>(program_.instructions[index].body);
    CountWork(uint64_t{8} * gemm.uop_count);
    std::vector<uint32_t> key = {gemm.reset,   gemm.iter_out, gemm.iter_in, gemm.acc_out, gemm.acc_in,
                                 gemm.inp_out, gemm.inp_in,   gemm.wgt_out, gemm.wgt_in};
    for (const Uop* uop = uops; uop != uops + gemm.uop_count; ++uop)
      key.insert(key.end(), {uop->acc, uop->inp, uop->wgt});
    const auto [found, is_new] = index_.emplace(std::move(key), nullptr);
    if (is_new) {
      plans->push_back(std::make_unique<GemmPlan>(MakeGemmPlan(params_, gemm, uops)));
      found->second = plans->back().get();
      bytes_ += found->second->Bytes() + found->first.size() * sizeof(uint32_t);
      if (bytes_ > kMaxPreparedBytes) {
        program_.FailAt(index, "GEMM instructions differ so much that preparing them takes more than ",
                        kMaxPreparedBytes, " bytes; this one is number ", plans->size());
      }
    }
    return found->second;
  }

 private:
  const Params& params_;
  const Program& program_;
  std::map<std::vector<uint32_t>, const GemmPlan*> index_;
  uint64_t& bytes_;
};

// Marks the safe instructions; returns whether all are.
bool MarkSafe(const Params& params, const Program& program, int64_t max_weight, PreparedProgram* prepared) {
  AccumulatorBounds bounds(params, max_weight);
  bool all = true;
  for (size_t i = 0; i < program.instructions.size(); ++i) {
    CountWork(1);
    if (const auto* gemm = std::get_if<Gemm>(&program.instructions[i].body)) {
      PreparedProgram::PlannedGemm& planned = prepared->gemms[i];
      planned.safe = bounds.Visit(*gemm, *planned.plan);
      all = all && planned.safe;
    } else if (const auto* ppu = std::get_if<Ppu>(&program.instructions[i].body)) {
      bounds.Visit(*ppu);
    }
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
  prepared.gemms.resize(program.instructions.size());
  for (size_t i = 0; i < program.instructions.size(); ++i) {
    const Instruction& instruction = program.instructions[i];
    if (verify) order->Begin(i);
    CountWork(16);
    if (const auto* dma = std::get_if<Dma>(&instruction.body)) {
      if (verify) shadow->VisitDma(*order, i);
      if (instruction.opcode == isa::Opcode::kLoad && dma->pad == Pad::kUop) micro_ops.Load(i);
    } else if (const auto* gemm = std::get_if<Gemm>(&instruction.body)) {
      if (verify) shadow->Read(*order, i, Pad::kUop, gemm->uop_begin, gemm->uop_count);
      micro_ops.CheckIndices(i);
      const Uop* uops = &micro_ops.uops()[gemm->uop_begin];
      prepared.gemms[i].plan = planner.Plan(i, uops, &prepared.plans);
      if (verify) shadow->VisitGemm(*order, i, *prepared.gemms[i].plan);
    } else if (std::holds_alternative<Ppu>(instruction.body) && verify) {
      shadow->VisitPpu(*order, i, params);
    }
    if (verify) order->End(i);
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
