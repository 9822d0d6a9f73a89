#include "tvm_vsq/sim/instructions/vec.h"

#include <algorithm>
#include <vector>

#include "tvm_vsq/sim/digits.h"
#include "tvm_vsq/sim/overflow.h"
#include "tvm_vsq/sim/poll.h"
#include "tvm_vsq/sim/rounding.h"
#include "tvm_vsq/sim/saturation.h"
#include "tvm_vsq/sim/vec_kernel.h"

namespace tvm_vsq::sim {
namespace {

// |n| of rhu(n, 2^shift) stays below.
constexpr int64_t kLargestProduct = int64_t{1} << 62;

// The element times its scale of every lane of `values`, which are those of the vectors from `vector` on.
template <typename Acc>
void Unpack(const InpVectors& vectors, const Execution& execution, size_t vector, std::vector<Acc>* values) {
  const auto size = static_cast<size_t>(execution.params.vector_size);
  for (size_t first = 0; first < values->size(); first += size, vector += vectors.digits()) {
    const uint8_t* codes = vectors.codes() + vector * size;
    const int32_t scale = execution.pads->inp_scale[vector];
    const size_t count = std::min(size, values->size() - first);
    for (size_t i = 0; i < count; ++i) (*values)[first + i] = (codes[i] - vectors.bias()) * scale;
  }
}

// Joins all vectors of several entries that are read.
void Join(const isa::Vec& vec, const Execution& execution, InpVectors* vectors) {
  if (vectors->digits() == 1) return;
  for (size_t o = 0; o < vec.iter_out; ++o) {
    for (size_t i = 0; i < vec.iter_in; ++i) {
      CountWork(execution.plan->uops.size());
      for (const Uop& uop : execution.plan->uops) {
        const size_t first = uop.inp + o * vec.inp_out + i * vec.inp_in;
        for (size_t v = 0; v < Declared<isa::Vec>::Vectors(execution.params); ++v)
          vectors->Join(first + v * vectors->digits());
      }
    }
  }
}

// Adds `values` times `coefficient`; false if a sum leaves accumulator_bits.
template <typename Acc>
bool Add(const std::vector<Acc>& values, int64_t coefficient, const Execution& execution, Acc* lanes) {
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
bool Multiply(const std::vector<Acc>& values, int shift, const Execution& execution, Acc* lanes) {
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

// Of what is left when `values` are taken away. False if a result leaves accumulator_bits.
template <typename Acc>
bool LookUp(const Segments& table, const std::vector<Acc>& values, int shift, const Execution& execution,
            Acc* lanes) {
  constexpr int kBits = kSegmentBits;
  constexpr int64_t kHalf = kSegments << (kBits - 1);
  const int64_t limit = int64_t{1} << (execution.params.accumulator_bits - 1);
  bool fits = true;
  for (size_t c = 0; c < values.size(); ++c) {
    const int64_t argument = RoundHalfUpShift(int64_t{lanes[c]} - values[c], shift);
    const int64_t t = std::clamp<int64_t>(argument, -kHalf, kHalf - 1) + kHalf;
    const auto segment = static_cast<size_t>(t >> kBits);
    const int64_t inside = t & ((1 << kBits) - 1);
    const int64_t result = table.values[segment] + RoundHalfUpShift(table.slopes[segment] * inside, kBits);
    fits = fits && result >= -limit && result < limit;
    lanes[c] = static_cast<Acc>(result);
  }
  return fits;
}

// Adds `values` to the lanes, takes them away, or scales by them.
template <typename Acc>
void Saturate(const isa::Vec& vec, const std::vector<Acc>& values, Acc* lanes) {
  const int64_t limit = kSaturationLimit;
  for (size_t c = 0; c < values.size(); ++c) {
    const int64_t lane = lanes[c], s = values[c];
    const int64_t result = Declared<isa::Vec>::Scales(vec) ? Scaled(lane, s)
                           : Declared<isa::Vec>::Adds(vec) ? lane + s
                                                           : lane - s;
    lanes[c] = static_cast<Acc>(Saturated(result, limit));
  }
}

// The number of the micro-op that brings an accumulator outside of accumulator_bits; that of all if none
// does.
template <typename Acc>
size_t ApplyChecked(const isa::Vec& vec, const Execution& execution, size_t inp, size_t acc,
                    const Segments& table, const InpVectors& vectors, std::vector<Acc>* values,
                    std::vector<Acc>* accumulators) {
  const std::vector<Uop>& uops = execution.plan->uops;
  const auto lanes = static_cast<size_t>(execution.params.output_lanes);
  const int64_t coefficient = Declared<isa::Vec>::Coefficient(vec);
  for (size_t u = 0; u < uops.size(); ++u) {
    if (vec.src == isa::Vec::Src::kInp) Unpack(vectors, execution, uops[u].inp + inp, values);
    if (Declared<isa::Vec>::FromAcc(vec))
      std::copy_n(&(*accumulators)[(uops[u].inp + inp) * lanes], values->size(), values->begin());
    Acc* lane = &(*accumulators)[(uops[u].acc + acc) * lanes];
    if (Declared<isa::Vec>::Saturates(vec)) {
      Saturate(vec, *values, lane);
    } else if (vec.op == isa::Vec::Op::kMov) {
      std::copy(values->begin(), values->end(), lane);
    } else if (vec.op == isa::Vec::Op::kMax) {
      std::transform(values->begin(), values->end(), lane, lane,
                     [](Acc value, Acc acc) { return std::max(acc, value); });
    } else if (vec.op == isa::Vec::Op::kMin) {
      std::transform(values->begin(), values->end(), lane, lane,
                     [](Acc value, Acc acc) { return std::min(acc, value); });
    } else if (vec.op == isa::Vec::Op::kMul) {
      if (!Multiply(*values, static_cast<int>(vec.shift), execution, lane)) return u;
    } else if (vec.op == isa::Vec::Op::kTable) {
      if (!LookUp(table, *values, static_cast<int>(vec.shift), execution, lane)) return u;
    } else if (!Add(*values, coefficient, execution, lane)) {
      return u;
    }
  }
  return uops.size();
}

template <typename Acc>
void ApplySafe(const isa::Vec& vec, const Execution& execution, const Segments& table,
               const InpVectors& vectors, std::vector<Acc>* acc) {
  const Params& params = execution.params;
  const Scratchpads& pads = *execution.pads;
  const auto lanes = static_cast<size_t>(params.output_lanes);
  const bool flat = vec.iter_in == 1;  // its outer loop is then the kernel's
  const VecOperands operands{vec.src == isa::Vec::Src::kInp ? vectors.codes() : nullptr,
                             pads.inp_scale.data(),
                             vectors.digits(),
                             vectors.bias(),
                             static_cast<int32_t>(Declared<isa::Vec>::Immediate(vec)),
                             static_cast<int32_t>(Declared<isa::Vec>::Coefficient(vec)),
                             static_cast<int>(vec.shift),
                             kSaturationLimit,
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
    const Acc* source = Declared<isa::Vec>::FromAcc(vec) ? acc->data() : nullptr;
    kernel(operands, o * vec.inp_out, source, acc->data() + o * vec.acc_out * lanes);
  }
}

template <typename Acc>
void ApplyAll(const isa::Vec& vec, const Execution& execution, std::vector<Acc>* acc) {
  const Params& params = execution.params;
  const auto lanes = static_cast<size_t>(params.output_lanes);
  const size_t group = Declared<isa::Vec>::Blocks(params, vec) * lanes;
  Segments table;
  if (Declared<isa::Vec>::LooksUp(vec)) table = ReadSegments(execution, vec.tab_base);
  InpVectors vectors(execution, vec.src_unsigned, Declared<isa::Vec>::Digits(vec));
  Join(vec, execution, &vectors);
  if (execution.safe) return ApplySafe(vec, execution, table, vectors, acc);
  std::vector<Acc> values(group, static_cast<Acc>(Declared<isa::Vec>::Immediate(vec)));
  for (size_t o = 0; o < vec.iter_out; ++o) {
    for (size_t i = 0; i < vec.iter_in; ++i) {
      CountWork(execution.plan->uops.size() * (1 + group / 8));
      const size_t inp = o * vec.inp_out + i * vec.inp_in, moved = o * vec.acc_out + i * vec.acc_in;
      const size_t done = ApplyChecked(vec, execution, inp, moved, table, vectors, &values, acc);
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
  if (Saturates(vec)) {
    for (const MicroOpPlan::Range& range : plan->touched[0]) bounds->Forget(range.begin, range.entries);
    return true;
  }
  // Whatever is moved or compared, time and again, is one of these accumulators.
  uint64_t largest = FromAcc(vec) ? 0 : static_cast<uint64_t>(Largest(params, vec));
  if (FromAcc(vec)) {
    for (const MicroOpPlan::Range& range : plan->touched[1])
      largest = std::max(largest, bounds->Largest(range.begin, range.entries));
  }
  if (Adds(vec)) return BoundSums(params, vec, *plan, largest, bounds);
  if (Multiplies(vec)) return BoundProducts(params, vec, *plan, largest, bounds);
  if (LooksUp(vec)) {
    // A value, and a slope that is not quite gone through.
    const bool fits = params.accumulator_bits - 1 > kSegmentValueBits;
    for (const MicroOpPlan::Range& range : plan->touched[0]) {
      if (fits)
        bounds->Set(range.begin, range.entries, uint64_t{1} << kSegmentValueBits);
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
