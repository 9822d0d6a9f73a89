// REDUCE: a number for each row of accumulators, which may be a factor that VEC scales by.
#ifndef TVM_VSQ_SIM_INSTRUCTIONS_REDUCE_H_
#define TVM_VSQ_SIM_INSTRUCTIONS_REDUCE_H_

#include <algorithm>
#include <memory>

#include "tvm_vsq/sim/declaration.h"
#include "tvm_vsq/sim/execution.h"
#include "tvm_vsq/sim/plan.h"
#include "tvm_vsq/sim/segments.h"

namespace tvm_vsq::sim {

template <>
struct Declared<isa::Reduce> : Defaults<isa::Reduce> {
  static constexpr bool kMicroOps = true;
  static constexpr bool kBounds = true;

  // Of a row: sums of more squares might not fit what adds them up.
  static constexpr int64_t kMaxLanes = int64_t{1} << 14;

  // A result is written to a channel group: the larger of a vector and an accumulator entry.
  static uint32_t Blocks(const Params& params) {
    return static_cast<uint32_t>(std::max<int64_t>(1, params.vector_size / params.output_lanes));
  }

  // Rows share nothing but the micro-op of an iteration, which is read once for each.
  static MicroOpLoops Loops(const Params& params, const isa::Reduce& reduce) {
    MicroOpLoops loops{reduce.uop_begin, {reduce.uop_count, reduce.iter_out, 1}};
    loops.Add(Pad::kAcc, Use::kFill, &isa::Uop::acc, reduce.acc_out, 0, Blocks(params));
    const Nest entries{reduce.uop_count, reduce.iter_out, reduce.iter_in};
    loops.Add(
        {Pad::kAcc, Use::kRead, &isa::Uop::inp, reduce.inp_out, reduce.inp_in, entries, entries.Visits()});
    return loops;
  }

  // Whether the result is a factor, which a table gives.
  static bool MakesFactors(const isa::Reduce& reduce) {
    return reduce.to == isa::Reduce::To::kReciprocal || reduce.to == isa::Reduce::To::kRsqrt;
  }

  template <typename Visit>
  static void Accesses(const Params& params, const isa::Reduce& reduce, Visit visit) {
    if (!MakesFactors(reduce)) return;
    visit(Access{Pad::kPar, Use::kRead, "tab_base", reduce.tab_base, SegmentEntries(params), Rows(reduce)});
  }

  // The immediate is a two's complement number.
  static int64_t Immediate(const isa::Reduce& reduce) { return static_cast<int32_t>(reduce.imm); }

  template <typename Fail>
  static void Check(const Params& params, const isa::Reduce& reduce, Fail fail) {
    if (reduce.last_lanes > params.output_lanes)
      fail("field last_lanes is ", reduce.last_lanes, ", must be at most output_lanes, ",
           params.output_lanes);
    if (reduce.iter_in * params.output_lanes > kMaxLanes)
      fail("field iter_in is ", reduce.iter_in, ": a row of ", reduce.iter_in * params.output_lanes,
           " lanes, at most ", kMaxLanes, " are allowed");
  }

  static std::unique_ptr<const MicroOpPlan> MakePlan(const Params& params, const isa::Reduce& reduce,
                                                     const isa::Uop* uops);

  static uint64_t Rows(const isa::Reduce& reduce) {
    return Nest{reduce.uop_count, reduce.iter_out, 1}.Visits();
  }

  // An entry enters the tree in each cycle, while results of the row before are written, one in each.
  static int64_t Cycles(const Params& params, const isa::Reduce& reduce) {
    return params.row_pipeline_cycles +
           static_cast<int64_t>(Rows(reduce) * std::max(reduce.iter_in, Blocks(params)));
  }

  template <typename Count>
  static void Events(const Params& params, const isa::Reduce& reduce, Count count) {
    const auto rows = static_cast<int64_t>(Rows(reduce));
    const int64_t lanes = rows * reduce.iter_in * params.output_lanes;
    count(isa::Event::kReduceLaneOps, lanes);
    if (reduce.op == isa::Reduce::Op::kSquares) count(isa::Event::kSquareLaneOps, lanes);
    count(isa::Event::kRowOps, rows);
  }

  // Nothing overflows: what has no bound of its own saturates.
  static bool Bound(const Params& params, const isa::Reduce& reduce, const MicroOpPlan* plan,
                    AccumulatorBounds* bounds);
};

// Throws Error for a table that does not fit its bits.
void Execute(const isa::Reduce& reduce, const Execution& execution);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_INSTRUCTIONS_REDUCE_H_
