#include "tvm_vsq/sim/instructions/vec.h"

#include <algorithm>
#include <vector>

#include "tvm_vsq/sim/overflow.h"
#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::sim {
namespace {

// The element times its scale of every lane of `values`, which are those of the vectors from `vector` on.
void Unpack(const isa::Vec& vec, const Execution& execution, size_t vector, std::vector<int32_t>* values) {
  const Params& params = execution.params;
  const Scratchpads& pads = *execution.pads;
  const auto size = static_cast<size_t>(params.vector_size);
  const uint8_t* codes = &(vec.src_unsigned ? pads.inp_code : pads.inp_biased)[vector * size];
  const int32_t bias = vec.src_unsigned ? 0 : 1 << (params.activation_bits - 1);
  for (size_t first = 0; first < values->size(); first += size, ++vector) {
    const int32_t scale = pads.inp_scale[vector];
    const size_t end = std::min(first + size, values->size());
    for (size_t i = first; i < end; ++i) (*values)[i] = (codes[i] - bias) * scale;
  }
}

template <typename Acc>
void ApplyAll(const isa::Vec& vec, const Execution& execution, std::vector<Acc>* acc) {
  const Params& params = execution.params;
  const auto lanes = static_cast<size_t>(params.output_lanes);
  const size_t group = Declared<isa::Vec>::Blocks(params, vec) * lanes;
  std::vector<int32_t> values(group, static_cast<int32_t>(Declared<isa::Vec>::Immediate(vec)));
  for (size_t o = 0; o < vec.iter_out; ++o) {
    for (size_t i = 0; i < vec.iter_in; ++i) {
      CountWork(execution.plan->uops.size() * (1 + group / 8));
      for (const Uop& uop : execution.plan->uops) {
        if (vec.src == isa::Vec::Src::kInp)
          Unpack(vec, execution, uop.inp + o * vec.inp_out + i * vec.inp_in, &values);
        Acc* lane = &(*acc)[(uop.acc + o * vec.acc_out + i * vec.acc_in) * lanes];
        if (vec.op == isa::Vec::Op::kMov) {
          std::copy(values.begin(), values.end(), lane);
        } else {
          for (size_t c = 0; c < group; ++c) lane[c] = std::max(lane[c], static_cast<Acc>(values[c]));
        }
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
  if (pads->acc64.empty()) {
    ApplyAll(vec, execution, &pads->acc32);
  } else {
    ApplyAll(vec, execution, &pads->acc64);
  }
}

}  // namespace tvm_vsq::sim
