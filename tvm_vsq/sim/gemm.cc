#include "tvm_vsq/sim/gemm.h"

#include <algorithm>
#include <limits>

#include "tvm_vsq/sim/gemm_kernel.h"

namespace tvm_vsq::sim {
namespace {

struct PadUse {
  Pad pad;
  uint32_t Uop::* index;
  uint32_t Gemm::* out;
  uint32_t Gemm::* in;
};

constexpr PadUse kPadUses[] = {{Pad::kAcc, &Uop::acc, &Gemm::acc_out, &Gemm::acc_in},
                               {Pad::kInp, &Uop::inp, &Gemm::inp_out, &Gemm::inp_in},
                               {Pad::kWgt, &Uop::wgt, &Gemm::wgt_out, &Gemm::wgt_in}};

}  // namespace

// The loops only add: the largest index of each scratchpad is that of the last iteration and the largest
// micro-op.
void GemmUnit::CheckIndices(const Program& program, size_t index, const Scratchpads& pads) const {
  const auto& gemm = std::get<Gemm>(program.instructions[index].body);
  for (const PadUse& use : kPadUses) {
    if (gemm.reset && use.pad != Pad::kAcc) continue;
    const uint64_t steps =
        uint64_t{gemm.iter_out - 1} * (gemm.*use.out) + uint64_t{gemm.iter_in - 1} * (gemm.*use.in);
    const auto depth = static_cast<uint64_t>(params_.Depth(use.pad));
    for (uint64_t u = gemm.uop_begin; u < uint64_t{gemm.uop_begin} + gemm.uop_count; ++u) {
      const uint64_t last = pads.uop[u].*use.index + steps;
      if (last < depth) continue;
      program.FailAt(index, "micro-op ", u, ": ", PadName(use.pad), " index ", pads.uop[u].*use.index,
                     " reaches ", last, " in the last iteration; the scratchpad has ", depth, " entries");
    }
  }
}

void GemmUnit::Execute(const Program& program, size_t index, const std::function<void(uint64_t)>& poll,
                       Scratchpads* pads) const {
  if (pads->acc64.empty()) {
    ExecuteOn(program, index, poll, &pads->acc32, *pads);
  } else {
    ExecuteOn(program, index, poll, &pads->acc64, *pads);
  }
}

template <typename Acc>
void GemmUnit::ExecuteOn(const Program& program, size_t index, const std::function<void(uint64_t)>& poll,
                         std::vector<Acc>* accumulators, const Scratchpads& pads) const {
  const auto& gemm = std::get<Gemm>(program.instructions[index].body);
  const auto size = static_cast<size_t>(params_.vector_size),
             lanes = static_cast<size_t>(params_.output_lanes);
  const std::vector<uint8_t>& inp = gemm.act_unsigned ? pads.inp_code : pads.inp_biased;
  GemmOperands<Acc> operands{};
  operands.inp_bias = gemm.act_unsigned ? 0 : 1 << (params_.activation_bits - 1);
  operands.uops = &pads.uop[gemm.uop_begin];
  operands.count = gemm.uop_count;
  operands.vector_size = static_cast<int>(size);
  operands.output_lanes = static_cast<int>(lanes);
  operands.product_shift = static_cast<int>(params_.product_shift);
  operands.product_max =
      params_.product_shift > 0 ? (1 << params_.product_bits) - 1 : std::numeric_limits<int>::max();
  operands.accumulator_bits = static_cast<int>(params_.accumulator_bits);
  for (size_t o = 0; o < gemm.iter_out; ++o) {
    for (size_t i = 0; i < gemm.iter_in; ++i) {
      const size_t acc = o * gemm.acc_out + i * gemm.acc_in;
      if (gemm.reset) {
        for (size_t u = 0; u < operands.count; ++u) {
          std::fill_n(&(*accumulators)[(operands.uops[u].acc + acc) * lanes], lanes, Acc{0});
        }
        continue;
      }
      const size_t x = o * gemm.inp_out + i * gemm.inp_in, w = o * gemm.wgt_out + i * gemm.wgt_in;
      operands.acc = accumulators->data() + acc * lanes;
      operands.inp = inp.data() + x * size;
      operands.inp_scale = pads.inp_scale.data() + x;
      operands.wgt = pads.wgt.data() + w * size * lanes;
      operands.wgt_scale = pads.wgt_scale.data() + w * lanes;
      const size_t done = RunGemm(operands);
      if (done == operands.count) continue;
      program.FailAt(index, "accumulator overflow: micro-op ", gemm.uop_begin + done, " at outer iteration ",
                     o, ", inner ", i, " brings acc entry ", operands.uops[done].acc + acc, " outside ",
                     params_.accumulator_bits, " bits");
    }
    poll(uint64_t{gemm.iter_in} * gemm.uop_count);
  }
}

}  // namespace tvm_vsq::sim
