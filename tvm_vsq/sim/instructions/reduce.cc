#include "tvm_vsq/sim/instructions/reduce.h"

#include <algorithm>
#include <vector>

#include "tvm_vsq/sim/factor.h"
#include "tvm_vsq/sim/overflow.h"
#include "tvm_vsq/sim/poll.h"
#include "tvm_vsq/sim/reduce_kernel.h"
#include "tvm_vsq/sim/rounding.h"
#include "tvm_vsq/sim/saturation.h"

namespace tvm_vsq::sim {
namespace {

using Declaration = Declared<isa::Reduce>;

// A mantissa has kMantissaBits behind its first one, as many as arguments of a table have.
constexpr int kMantissaBits = 16;

// sat(rhu(sum * mult, 2^exponent)): a product may have 65 bits.
int64_t ScaledSum(const isa::Reduce& reduce, int64_t sum, int64_t limit) {
  __extension__ using Wide = __int128;
  const Wide product = Wide{sum} * reduce.mult + RoundingTerm(static_cast<int>(reduce.exponent));
  const Wide result = product >> reduce.exponent;
  return static_cast<int64_t>(std::clamp<Wide>(result, -limit, limit - 1));
}

// 2^-exponent / x or 2^-exponent / sqrt(x), as far as the table is these functions.
int64_t FactorOf(const isa::Reduce& reduce, const Segments& table, int64_t x) {
  const int e = 63 - __builtin_clzll(static_cast<uint64_t>(x)) - kMantissaBits;
  const int64_t n = e >= 0 ? x >> e : x << -e;
  int64_t t = n - (int64_t{1} << kMantissaBits), k = e;
  if (reduce.to == isa::Reduce::To::kRsqrt) {
    // Divisions round down, also of negative numbers; the table's second half is of odd e.
    t = (t >> 1) + ((e & 1) != 0 ? int64_t{1} << (kMantissaBits - 1) : 0);
    k = e >> 1;
  }
  const int64_t segment = t >> kSegmentBits, inside = t & ((1 << kSegmentBits) - 1);
  const int64_t m = table.values[segment] +
                    RoundHalfUpShift(table.slopes[segment] * inside, static_cast<int>(kSegmentBits));
  return MakeFactor(std::clamp<int64_t>(m, 0, (1 << kFactorBits) - 1), int64_t{reduce.exponent} + k);
}

template <typename Acc>
void ReduceAll(const isa::Reduce& reduce, const Execution& execution, std::vector<Acc>* acc) {
  static const Simd kSimd = BestSimd();
  const Params& params = execution.params;
  const auto lanes = static_cast<size_t>(params.output_lanes);
  const size_t group = Declaration::Blocks(params) * lanes;
  const int64_t limit = kSaturationLimit, imm = Declaration::Immediate(reduce);
  const bool makes_factors = Declaration::MakesFactors(reduce);
  Segments table;
  if (makes_factors) table = ReadSegments(execution, reduce.tab_base);
  const RowShape row{reduce.iter_in, reduce.inp_in * lanes, lanes, reduce.last_lanes,
                     static_cast<int>(reduce.shift)};
  const ReduceKernel<Acc> kernel = SelectReduceKernel<Acc>(reduce.op, kSimd);
  for (size_t o = 0; o < reduce.iter_out; ++o) {
    CountWork(execution.plan->uops.size() * (4 + (reduce.iter_in * lanes + group) / 8));
    for (const Uop& uop : execution.plan->uops) {
      const int64_t sum = kernel(row, acc->data() + (uop.inp + o * reduce.inp_out) * lanes);
      int64_t result = 0;
      if (makes_factors) {
        result = FactorOf(reduce, table, std::max<int64_t>(sum + imm, 1));
      } else if (reduce.to == isa::Reduce::To::kScaled) {
        result = ScaledSum(reduce, sum, limit);
      } else {
        result = Saturated(sum + imm, limit);
      }
      std::fill_n(acc->data() + (uop.acc + o * reduce.acc_out) * lanes, group, static_cast<Acc>(result));
    }
  }
}

}  // namespace

std::unique_ptr<const MicroOpPlan> Declared<isa::Reduce>::MakePlan(const Params& params,
                                                                   const isa::Reduce& reduce,
                                                                   const isa::Uop* uops) {
  auto plan = std::make_unique<MicroOpPlan>();
  FillPlan(params, Loops(params, reduce), uops, plan.get());
  return plan;
}

bool Declared<isa::Reduce>::Bound(const Params&, const isa::Reduce& reduce, const MicroOpPlan* plan,
                                  AccumulatorBounds* bounds) {
  for (const MicroOpPlan::Range& range : plan->touched[0]) {
    if (MakesFactors(reduce))
      bounds->Set(range.begin, range.entries, uint64_t{1} << (kFactorBits + kFactorShiftBits));
    else
      bounds->Forget(range.begin, range.entries);
  }
  return true;
}

void Execute(const isa::Reduce& reduce, const Execution& execution) {
  Scratchpads* pads = execution.pads;
  if (pads->acc64.empty()) {
    ReduceAll(reduce, execution, &pads->acc32);
  } else {
    ReduceAll(reduce, execution, &pads->acc64);
  }
}

}  // namespace tvm_vsq::sim
