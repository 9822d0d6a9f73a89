#include "tvm_vsq/sim/instructions/vec.h"

#include <algorithm>
#include <vector>

#include "tvm_vsq/sim/overflow.h"
#include "tvm_vsq/sim/poll.h"
#include "tvm_vsq/sim/rounding.h"
#include "tvm_vsq/sim/vec_kernel.h"

namespace tvm_vsq::sim {
namespace {

// |n| of rhu(n, 2^shift) stays below.
constexpr int64_t kLargestProduct = int64_t{1} << 62;

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

// Adds `values` times `coefficient`; false if a sum leaves accumulator_bits.
template <typename Acc>
bool Add(const std::vector<int32_t>& values, int64_t coefficient, const Execution& execution, Acc* lanes) {
  const int64_t limit = int64_t{1} << (execution.params.accumulator_bits - 1);
  bool fits = true;
  for (size_t c = 0; c < values.size(); ++c) {
    const int64_t sum = lanes[c] + coefficient * values[c];
    fits = fits && sum >= -limit && sum < limit;
    lanes[c] = static_cast<Acc>(sum);
  }
  return fits;
}

// Multiplies by `values`; false if a result leaves accumulator_bits, or a product 62 bits. No product that is
// known to be safe has more (BoundProducts).
template <typename Acc>
bool Multiply(const std::vector<int32_t>& values, int shift, const Execution& execution, Acc* lanes) {
  const int64_t limit = int64_t{1} << (execution.params.accumulator_bits - 1);
  bool fits = true;
  for (size_t c = 0; c < values.size(); ++c) {
    int64_t product = 0;
    const bool wraps = __builtin_mul_overflow(static_cast<int64_t>(lanes[c]), int64_t{values[c]}, &product);
    fits = fits && !wraps && product > -kLargestProduct && product < kLargestProduct;
    const int64_t result = fits ? RoundHalfUpShift(product, shift) : 0;
    fits = fits && result >= -limit && result < limit;
    lanes[c] = static_cast<Acc>(result);
  }
  return fits;
}

struct Table {
  int32_t values[Declared<isa::Vec>::kSegments], slopes[Declared<isa::Vec>::kSegments];
};

Table ReadTable(const isa::Vec& vec, const Execution& execution) {
  const auto lanes = static_cast<size_t>(execution.params.output_lanes);
  constexpr int64_t kLimit = int64_t{1} << (Declared<isa::Vec>::kValueBits - 1);
  Table table;
  for (size_t i = 0; i < static_cast<size_t>(Declared<isa::Vec>::kSegments); ++i) {
    const ChannelParams& lane = execution.pads->par[vec.tab_base * lanes + i];
    for (const int32_t number : {lane.bias, lane.clip}) {
      if (number >= -kLimit && number < kLimit) continue;
      execution.Fail("par entry ", vec.tab_base + i / lanes, ", lane ", i % lanes, ": ", number,
                     " does not fit the ", Declared<isa::Vec>::kValueBits, " bits of a table");
    }
    table.values[i] = lane.bias;
    table.slopes[i] = lane.clip;
  }
  return table;
}

// False if a result leaves accumulator_bits.
template <typename Acc>
bool LookUp(const Table& table, size_t count, const Execution& execution, Acc* lanes) {
  constexpr int kBits = Declared<isa::Vec>::kSegmentBits;
  constexpr int64_t kHalf = Declared<isa::Vec>::kSegments << (kBits - 1);
  const int64_t limit = int64_t{1} << (execution.params.accumulator_bits - 1);
  bool fits = true;
  for (size_t c = 0; c < count; ++c) {
    const int64_t t = std::clamp<int64_t>(lanes[c], -kHalf, kHalf - 1) + kHalf;
    const auto segment = static_cast<size_t>(t >> kBits);
    const int64_t inside = t & ((1 << kBits) - 1);
    const int64_t result = table.values[segment] + RoundHalfUpShift(table.slopes[segment] * inside, kBits);
    fits = fits && result >= -limit && result < limit;
    lanes[c] = static_cast<Acc>(result);
  }
  return fits;
}

// The number of the micro-op that brings an accumulator outside of accumulator_bits; that of all if none
// does.
template <typename Acc>
size_t ApplyChecked(const isa::Vec& vec, const Execution& execution, size_t inp, size_t acc,
                    const Table& table, std::vector<int32_t>* values, std::vector<Acc>* accumulators) {
  const std::vector<Uop>& uops = execution.plan->uops;
  const auto lanes = static_cast<size_t>(execution.params.output_lanes);
  const int64_t coefficient = Declared<isa::Vec>::Coefficient(vec);
  for (size_t u = 0; u < uops.size(); ++u) {
    if (vec.src == isa::Vec::Src::kInp) Unpack(vec, execution, uops[u].inp + inp, values);
    Acc* lane = &(*accumulators)[(uops[u].acc + acc) * lanes];
    if (vec.op == isa::Vec::Op::kMov) {
      std::copy(values->begin(), values->end(), lane);
    } else if (vec.op == isa::Vec::Op::kMax) {
      std::transform(values->begin(), values->end(), lane, lane,
                     [](int32_t value, Acc acc) { return std::max(acc, static_cast<Acc>(value)); });
    } else if (vec.op == isa::Vec::Op::kMin) {
      std::transform(values->begin(), values->end(), lane, lane,
                     [](int32_t value, Acc acc) { return std::min(acc, static_cast<Acc>(value)); });
    } else if (vec.op == isa::Vec::Op::kMul) {
      if (!Multiply(*values, static_cast<int>(vec.shift), execution, lane)) return u;
    } else if (vec.op == isa::Vec::Op::kTable) {
      if (!LookUp(table, values->size(), execution, lane)) return u;
    } else if (!Add(*values, coefficient, execution, lane)) {
      return u;
    }
  }
  return uops.size();
}

template <typename Acc>
void ApplySafe(const isa::Vec& vec, const Execution& execution, const Table& table, std::vector<Acc>* acc) {
  const Params& params = execution.params;
  const Scratchpads& pads = *execution.pads;
  const auto lanes = static_cast<size_t>(params.output_lanes);
  const bool is_imm = vec.src == isa::Vec::Src::kImm;
  const bool flat = vec.iter_in == 1;  // its outer loop is then the kernel's
  const uint8_t* codes = (vec.src_unsigned ? pads.inp_code : pads.inp_biased).data();
  const VecOperands operands{is_imm ? nullptr : codes,
                             pads.inp_scale.data(),
                             vec.src_unsigned ? 0 : 1 << (params.activation_bits - 1),
                             static_cast<int32_t>(Declared<isa::Vec>::Immediate(vec)),
                             static_cast<int32_t>(Declared<isa::Vec>::Coefficient(vec)),
                             static_cast<int>(vec.shift),
                             table.values,
                             table.slopes,
                             static_cast<size_t>(params.vector_size),
                             lanes,
                             Declared<isa::Vec>::Blocks(params, vec) * lanes,
                             execution.plan->uops.data(),
                             execution.plan->uops.size(),
                             flat ? vec.iter_out : vec.iter_in,
                             flat ? vec.inp_out : vec.inp_in,
                             flat ? vec.acc_out : vec.acc_in};
  static const Simd kSimd = BestSimd();
  const VecKernel<Acc> kernel = SelectVecKernel<Acc>(vec.op, kSimd);
  for (size_t o = 0; o < (flat ? 1 : vec.iter_out); ++o) {
    CountWork(operands.iter_in * operands.uop_count * (1 + operands.lanes / 8));
    kernel(operands, o * vec.inp_out, acc->data() + o * vec.acc_out * lanes);
  }
}

template <typename Acc>
void ApplyAll(const isa::Vec& vec, const Execution& execution, std::vector<Acc>* acc) {
  const Params& params = execution.params;
  const auto lanes = static_cast<size_t>(params.output_lanes);
  const size_t group = Declared<isa::Vec>::Blocks(params, vec) * lanes;
  Table table;
  if (Declared<isa::Vec>::LooksUp(vec)) table = ReadTable(vec, execution);
  if (execution.safe) return ApplySafe(vec, execution, table, acc);
  std::vector<int32_t> values(group, static_cast<int32_t>(Declared<isa::Vec>::Immediate(vec)));
  for (size_t o = 0; o < vec.iter_out; ++o) {
    for (size_t i = 0; i < vec.iter_in; ++i) {
      CountWork(execution.plan->uops.size() * (1 + group / 8));
      const size_t inp = o * vec.inp_out + i * vec.inp_in, moved = o * vec.acc_out + i * vec.acc_in;
      const size_t done = ApplyChecked(vec, execution, inp, moved, table, &values, acc);
      if (done == execution.plan->uops.size()) continue;
      execution.Fail("accumulator overflow: micro-op ", vec.uop_begin + done, " at outer iteration ", o,
                     ", inner ", i, " brings the channel group from acc entry ",
                     execution.plan->uops[done].acc + moved, " on outside ", params.accumulator_bits,
                     " bits");
    }
  }
}

// A loop that stays at its accumulators adds to them as often as it runs; the others are gone through.
bool BoundSums(const Params& params, const isa::Vec& vec, const MicroOpPlan& plan, uint64_t addend,
               AccumulatorBounds* bounds) {
  const uint64_t out = vec.acc_out == 0 ? 1 : vec.iter_out, in = vec.acc_in == 0 ? 1 : vec.iter_in;
  const uint64_t times = (vec.iter_out / out) * (vec.iter_in / in);
  // More would not fit anyway, and might not fit 64 bits.
  const uint64_t sum = std::min(times, (uint64_t{1} << params.accumulator_bits) / (addend + 1) + 1) * addend;
  const uint32_t blocks = Declared<isa::Vec>::Blocks(params, vec);
  bool safe = true;
  for (uint64_t o = 0; o < out; ++o) {
    for (uint64_t i = 0; i < in; ++i) {
      CountWork(plan.uops.size() * blocks);
      for (const Uop& uop : plan.uops) {
        const size_t entry = uop.acc + o * vec.acc_out + i * vec.acc_in;
        for (size_t block = 0; block < blocks; ++block) safe = bounds->Add(entry + block, sum) && safe;
      }
    }
  }
  if (safe) return true;
  // Checked at run time.
  for (const MicroOpPlan::Range& range : plan.touched[0]) bounds->Forget(range.begin, range.entries);
  return false;
}

// Visit by visit, as what is multiplied twice has grown by then.
bool BoundProducts(const Params& params, const isa::Vec& vec, const MicroOpPlan& plan, uint64_t factor,
                   AccumulatorBounds* bounds) {
  const uint32_t blocks = Declared<isa::Vec>::Blocks(params, vec);
  bool safe = true;
  for (uint64_t o = 0; o < vec.iter_out; ++o) {
    for (uint64_t i = 0; i < vec.iter_in; ++i) {
      CountWork(plan.uops.size() * blocks);
      for (const Uop& uop : plan.uops) {
        const size_t entry = uop.acc + o * vec.acc_out + i * vec.acc_in;
        for (size_t block = 0; block < blocks; ++block)
          safe = bounds->Multiply(entry + block, factor, static_cast<int>(vec.shift)) && safe;
      }
    }
  }
  if (safe) return true;
  for (const MicroOpPlan::Range& range : plan.touched[0]) bounds->Forget(range.begin, range.entries);
  return false;
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
  if (Adds(vec)) return BoundSums(params, vec, *plan, largest, bounds);
  if (Multiplies(vec)) return BoundProducts(params, vec, *plan, largest, bounds);
  if (LooksUp(vec)) {
    // A value, and a slope that is not quite gone through.
    const bool fits = params.accumulator_bits - 1 > kValueBits;
    for (const MicroOpPlan::Range& range : plan->touched[0]) {
      if (fits)
        bounds->Set(range.begin, range.entries, uint64_t{1} << kValueBits);
      else
        bounds->Forget(range.begin, range.entries);
    }
    return fits;
  }
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
