#include "tvm_vsq/sim/instructions/vec.h"

#include <vector>

#include "tvm_vsq/sim/overflow.h"
#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::sim {
namespace {

// One channel group: acc[0, channels) and, as element codes with their scales, the vectors of the source.
template <typename Acc>
void Apply(const isa::Vec& vec, const Execution& execution, size_t entry, size_t vector, Acc* acc) {
  const Params& params = execution.params;
  const Scratchpads& pads = *execution.pads;
  const auto size = static_cast<size_t>(params.vector_size), lanes = static_cast<size_t>(params.output_lanes);
  const std::vector<uint8_t>& codes = vec.src_unsigned ? pads.inp_code : pads.inp_biased;
  const int64_t bias = vec.src_unsigned ? 0 : int64_t{1} << (params.activation_bits - 1);
  Acc* group = &acc[entry * lanes];
  for (size_t channel = 0; channel < std::max(size, lanes); ++channel) {
    int64_t value = static_cast<int32_t>(vec.imm);
    if (vec.src == isa::Vec::Src::kInp) {
      value = (int64_t{codes[vector * size + channel]} - bias) * pads.inp_scale[vector + channel / size];
    }
    const int64_t before = group[channel];
    group[channel] = static_cast<Acc>(vec.op == isa::Vec::Op::kMax ? std::max(before, value) : value);
  }
}

template <typename Acc>
void ApplyAll(const isa::Vec& vec, const Execution& execution, Acc* acc) {
  for (uint32_t o = 0; o < vec.iter_out; ++o) {
    for (uint32_t i = 0; i < vec.iter_in; ++i) {
      for (const Uop& uop : execution.plan->uops) {
        const size_t entry = uop.acc + size_t{o} * vec.acc_out + size_t{i} * vec.acc_in;
        const size_t vector = uop.inp + size_t{o} * vec.inp_out + size_t{i} * vec.inp_in;
        Apply(vec, execution, entry, vector, acc);
      }
    }
  }
}

}  // namespace

std::unique_ptr<const MicroOpPlan> Declared<isa::Vec>::MakePlan(const Params& params, const isa::Vec& vec,
                                                                const isa::Uop* uops) {
  auto plan = std::make_unique<MicroOpPlan>();
  FillPlan(params, Loops(params, vec), uops, plan.get());
  return plan;
}

bool Declared<isa::Vec>::Bound(const Params& params, const isa::Vec& vec, const MicroOpPlan* plan,
                               AccumulatorBounds* bounds) {
  const auto largest = static_cast<uint64_t>(Largest(params, vec));
  for (const MicroOpPlan::Range& range : plan->touched[0]) {
    if (vec.op == isa::Vec::Op::kMov) {
      bounds->Set(range.begin, range.entries, largest);
    } else {
      bounds->Raise(range.begin, range.entries, largest);
    }
  }
  return true;
}

void Execute(const isa::Vec& vec, const Execution& execution) {
  Scratchpads* pads = execution.pads;
  CountWork(Declared<isa::Vec>::Visits(vec) *
            static_cast<uint64_t>(std::max(execution.params.vector_size, execution.params.output_lanes)) / 2);
  if (pads->acc64.empty()) {
    ApplyAll(vec, execution, pads->acc32.data());
  } else {
    ApplyAll(vec, execution, pads->acc64.data());
  }
}

}  // namespace tvm_vsq::sim
