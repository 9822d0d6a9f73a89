// VEC: the vector unit's operations on accumulators, with vectors of inp, other accumulators or an immediate.
#ifndef TVM_VSQ_SIM_INSTRUCTIONS_VEC_H_
#define TVM_VSQ_SIM_INSTRUCTIONS_VEC_H_

#include <algorithm>
#include <memory>

#include "tvm_vsq/sim/declaration.h"
#include "tvm_vsq/sim/digits.h"
#include "tvm_vsq/sim/execution.h"
#include "tvm_vsq/sim/factor.h"
#include "tvm_vsq/sim/plan.h"
#include "tvm_vsq/sim/segments.h"

namespace tvm_vsq::sim {

template <>
struct Declared<isa::Vec> : Defaults<isa::Vec> {
  static constexpr bool kMicroOps = true;
  static constexpr bool kBounds = true;

  // A micro-op is on a channel group: the larger of a vector and an accumulator entry.
  static uint32_t Blocks(const Params& params) {
    return static_cast<uint32_t>(std::max<int64_t>(1, params.vector_size / params.output_lanes));
  }
  static uint32_t Blocks(const Params& params, const isa::Vec& vec) {
    return Blocks(params) - vec.skip_blocks;
  }
  static uint32_t Vectors(const Params& params) {
    return static_cast<uint32_t>(std::max<int64_t>(1, params.output_lanes / params.vector_size));
  }

  static uint32_t Digits(const isa::Vec& vec) { return vec.digits + 1; }
  // That a micro-op reads.
  static uint32_t InpEntries(const Params& params, const isa::Vec& vec) {
    return Vectors(params) * Digits(vec);
  }

  static MicroOpLoops Loops(const Params& params, const isa::Vec& vec) {
    MicroOpLoops loops{vec.uop_begin, {vec.uop_count, vec.iter_out, vec.iter_in}};
    const Use use = vec.op == isa::Vec::Op::kMov ? Use::kFill : Use::kAccumulate;
    loops.Add(Pad::kAcc, use, &isa::Uop::acc, vec.acc_out, vec.acc_in, Blocks(params, vec));
    if (vec.src == isa::Vec::Src::kInp)
      loops.Add(Pad::kInp, Use::kRead, &isa::Uop::inp, vec.inp_out, vec.inp_in, InpEntries(params, vec));
    if (FromAcc(vec))
      loops.Add(Pad::kAcc, Use::kRead, &isa::Uop::inp, vec.inp_out, vec.inp_in, Blocks(params, vec));
    return loops;
  }

  // The immediate is a two's complement number.
  static int64_t Immediate(const isa::Vec& vec) { return static_cast<int32_t>(vec.imm); }

  static bool Adds(const isa::Vec& vec) {
    return vec.op == isa::Vec::Op::kAdd || vec.op == isa::Vec::Op::kMac;
  }
  static bool FromAcc(const isa::Vec& vec) { return vec.src == isa::Vec::Src::kAcc; }
  static bool Scales(const isa::Vec& vec) { return vec.op == isa::Vec::Op::kScale; }
  // Whether what does not fit becomes the nearest number that does.
  static bool Saturates(const isa::Vec& vec) {
    return vec.op == isa::Vec::Op::kSub || Scales(vec) || (vec.op == isa::Vec::Op::kAdd && FromAcc(vec));
  }

  static bool LooksUp(const isa::Vec& vec) { return vec.op == isa::Vec::Op::kTable; }
  static uint64_t TableEntries(const Params& params) { return SegmentEntries(params); }

  template <typename Visit>
  static void Accesses(const Params& params, const isa::Vec& vec, Visit visit) {
    if (!LooksUp(vec)) return;
    const uint64_t entries = TableEntries(params);
    visit(Access{Pad::kPar, Use::kRead, "tab_base", vec.tab_base, entries, entries});
  }

  static bool Multiplies(const isa::Vec& vec) { return vec.op == isa::Vec::Op::kMul; }
  // What s is multiplied by.
  static int64_t Coefficient(const isa::Vec& vec) {
    return vec.op == isa::Vec::Op::kMac ? Immediate(vec) : 1;
  }

  // The largest magnitude of what is moved, compared, added or multiplied by, unless it is an accumulator.
  static int64_t Largest(const Params& params, const isa::Vec& vec) {
    if (vec.src == isa::Vec::Src::kImm) return std::abs(Immediate(vec));
    const int64_t bits = JoinedBits(params, Digits(vec));
    const int64_t element = vec.src_unsigned ? (int64_t{1} << bits) - 1 : int64_t{1} << (bits - 1);
    const int64_t scale = std::max<int64_t>(1, (int64_t{1} << params.activation_scale_bits) - 1);
    return element * scale * std::abs(Coefficient(vec));
  }

  template <typename Fail>
  static void Check(const Params& params, const isa::Vec& vec, Fail fail) {
    if (vec.skip_blocks >= Blocks(params))
      fail("field skip_blocks is ", vec.skip_blocks, " of the ", Blocks(params),
           " blocks of a channel group");
    CheckDigits(params, "digits", vec.digits, params.activation_bits, fail);
    if (vec.digits > 0 && vec.src != isa::Vec::Src::kInp)
      fail("field digits is ", vec.digits, ", must be 0 unless src is inp, whose vectors have them");
    const int64_t limit = int64_t{1} << (params.accumulator_bits - 1), imm = Immediate(vec);
    if (LooksUp(vec) || vec.op == isa::Vec::Op::kSub || Scales(vec)) {
      if (vec.src == isa::Vec::Src::kInp)
        fail("field src is inp, must be imm or acc with table, sub and scale, which read none");
      if (Scales(vec) && vec.src == isa::Vec::Src::kImm && ShiftOf(imm) > kMaxFactorShift)
        fail("field imm is ", imm, ", a factor with a shift of ", ShiftOf(imm), ", must be at most ",
             kMaxFactorShift);
      return;
    }
    if (FromAcc(vec)) {
      if (Multiplies(vec) || vec.op == isa::Vec::Op::kMac)
        fail("field src is acc, must be inp with mac, inp or imm with mul");
      return;
    }
    if (vec.src == isa::Vec::Src::kImm) {
      if (vec.op == isa::Vec::Op::kMac)
        fail("field src is imm, must be inp with mac, which multiplies by imm");
      if (!Multiplies(vec) && (imm < -limit || imm >= limit))
        fail("field imm is ", imm, ", which does not fit accumulator_bits ", params.accumulator_bits);
    } else if (Largest(params, vec) >= limit && vec.op == isa::Vec::Op::kMac) {
      fail("field imm is ", imm, ": times an element times its scale it can be ", Largest(params, vec),
           ", which does not fit accumulator_bits ", params.accumulator_bits);
    } else if (Largest(params, vec) >= limit && !Multiplies(vec)) {
      fail("field src: an element times its scale can be ", Largest(params, vec),
           ", which does not fit accumulator_bits ", params.accumulator_bits);
    }
  }

  static std::unique_ptr<const MicroOpPlan> MakePlan(const Params& params, const isa::Vec& vec,
                                                     const isa::Uop* uops);

  static uint64_t Visits(const isa::Vec& vec) {
    return Nest{vec.uop_count, vec.iter_out, vec.iter_in}.Visits();
  }

  // One accumulator entry a cycle; before, all lanes take one entry of a table a cycle.
  static int64_t Cycles(const Params& params, const isa::Vec& vec) {
    const auto filling = LooksUp(vec) ? static_cast<int64_t>(TableEntries(params)) : 0;
    return params.vector_pipeline_cycles + filling + static_cast<int64_t>(Visits(vec) * Blocks(params, vec));
  }

  // Neighbouring entries lie in different banks, each of which serves one a cycle, while the unit takes a
  // block a cycle. Both entries of acc may lie in the same bank.
  static int64_t ConflictCycles(const Params& params, const isa::Vec& vec) {
    if (FromAcc(vec)) return static_cast<int64_t>(Visits(vec) * Blocks(params, vec));
    if (vec.src != isa::Vec::Src::kInp) return 0;
    const int64_t turns = (InpEntries(params, vec) + params.inp_banks - 1) / params.inp_banks;
    return static_cast<int64_t>(Visits(vec)) * std::max<int64_t>(0, turns - Blocks(params, vec));
  }

  template <typename Count>
  static void Events(const Params& params, const isa::Vec& vec, Count count) {
    const int64_t lanes = static_cast<int64_t>(Visits(vec) * Blocks(params, vec)) * params.output_lanes;
    count(isa::Event::kVectorLaneOps, lanes);
    if (vec.src == isa::Vec::Src::kInp) count(isa::Event::kUnpackLaneOps, lanes);
    if (vec.op == isa::Vec::Op::kMac) count(isa::Event::kCoefficientLaneOps, lanes);
    if (Multiplies(vec)) count(isa::Event::kProductLaneOps, lanes);
    if (Scales(vec)) count(isa::Event::kFactorLaneOps, lanes);
    if (!LooksUp(vec)) return;
    count(isa::Event::kTableLaneOps, lanes);
    count(isa::Event::kTableFillBits, kSegments * 2 * kSegmentValueBits * params.output_lanes);
  }

  // Whether no accumulator can leave accumulator_bits, in any order of the additions.
  static bool Bound(const Params& params, const isa::Vec& vec, const MicroOpPlan* plan,
                    AccumulatorBounds* bounds);
};

// Throws Error for an accumulator overflow.
void Execute(const isa::Vec& vec, const Execution& execution);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_INSTRUCTIONS_VEC_H_
