#include <algorithm>
#include <vector>

#include "tvm_vsq/sim/instructions/vec.h"
#include "tvm_vsq/sim/operands/lane.h"
#include "tvm_vsq/sim/operands/recorder.h"
#include "tvm_vsq/sim/poll.h"
#include "tvm_vsq/sim/rounding.h"

namespace tvm_vsq::sim {
namespace {

using Declaration = Declared<isa::Vec>;

// f of the table in par.
int64_t LookUp(const isa::Vec& vec, const Execution& execution, int64_t lane) {
  constexpr int64_t kHalf = kSegments << (kSegmentBits - 1);
  const int64_t t = std::clamp(lane, -kHalf, kHalf - 1) + kHalf;
  const int64_t segment = t >> kSegmentBits;
  const int64_t inside = t - (segment << kSegmentBits);
  const ChannelParams& entry =
      execution.pads->par[static_cast<size_t>(vec.tab_base * execution.params.output_lanes + segment)];
  return entry.bias + RoundHalfUpShift(entry.clip * inside, kSegmentBits);
}

int64_t Multiply(int64_t lane, int64_t s, int shift) {
  constexpr int64_t kLimit = int64_t{1} << 62;
  int64_t product = 0;
  if (__builtin_mul_overflow(lane, s, &product) || product <= -kLimit || product >= kLimit)
    return 0;  // the instruction refuses it
  return RoundHalfUpShift(product, shift);
}

int64_t Apply(const isa::Vec& vec, const Execution& execution, int64_t lane, int64_t s) {
  switch (vec.op) {
    case isa::Vec::Op::kMov:
      return s;
    case isa::Vec::Op::kMax:
      return std::max(lane, s);
    case isa::Vec::Op::kMin:
      return std::min(lane, s);
    case isa::Vec::Op::kAdd:
      return lane + s;
    case isa::Vec::Op::kMac:
      return lane + Declaration::Immediate(vec) * s;
    case isa::Vec::Op::kMul:
      return Multiply(lane, s, static_cast<int>(vec.shift));
    case isa::Vec::Op::kTable:
      return LookUp(vec, execution, lane);
    default:  // has no block of the RTL, and is refused before
      break;
  }
  return lane;
}

// Value and slope of each segment, into the tables so far. The number of this one.
int64_t PutTable(const isa::Vec& vec, const Execution& execution, OperandRows* rows) {
  const auto segments = static_cast<size_t>(kSegments);
  const size_t tables = rows->columns()["tables"].size() / (2 * segments);
  const size_t first = vec.tab_base * static_cast<size_t>(execution.params.output_lanes);
  for (size_t i = first; i < first + segments; ++i) {
    rows->Put("tables", execution.pads->par[i].bias);
    rows->Put("tables", execution.pads->par[i].clip);
  }
  return static_cast<int64_t>(tables);
}

}  // namespace

RecordResults RecordOperands(const isa::Vec& vec, const Execution& execution, size_t lane,
                             OperandRows* rows) {
  const Params& params = execution.params;
  const auto size = static_cast<size_t>(params.vector_size), lanes = static_cast<size_t>(params.output_lanes);
  const std::vector<Uop>& uops = execution.plan->uops;
  const size_t blocks = Declaration::Blocks(params, vec);
  const bool is_imm = vec.src == isa::Vec::Src::kImm;
  const OperandRows::Range range = rows->Pass(Declaration::Visits(vec) * blocks);
  if (range.empty()) return {};
  const int64_t table = Declaration::LooksUp(vec) ? PutTable(vec, execution, rows) : -1;
  std::vector<int64_t> acc = AccumulatorLane(execution, lane);
  uint64_t cycle = 0;
  for (size_t o = 0; o < vec.iter_out; ++o) {
    for (size_t i = 0; i < vec.iter_in; ++i) {
      CountWork(uops.size() * blocks * 4);
      for (const Uop& uop : uops) {
        for (size_t block = 0; block < blocks; ++block, ++cycle) {
          const size_t entry = uop.acc + o * vec.acc_out + i * vec.acc_in + block;
          const size_t vector = uop.inp + o * vec.inp_out + i * vec.inp_in, channel = block * lanes + lane;
          const int64_t element = is_imm ? 0 : InpElement(execution, vec.src_unsigned, vector, channel);
          const int64_t scale = is_imm ? 0 : execution.pads->inp_scale[vector + channel / size];
          const int64_t before = acc[entry];
          acc[entry] = Apply(vec, execution, before, is_imm ? Declaration::Immediate(vec) : element * scale);
          if (!range.Holds(cycle)) continue;
          rows->Put("op", static_cast<int64_t>(vec.op));
          rows->Put("src_imm", is_imm);
          rows->Put("src_unsigned", vec.src_unsigned);
          rows->Put("imm", Declaration::Immediate(vec));
          rows->Put("shift", vec.shift);
          rows->Put("table", table);
          rows->Put("element", element);
          rows->Put("scale", scale);
          rows->Put("entry", static_cast<int64_t>(entry));
          rows->Put("before", before);
          rows->Put("after", acc[entry]);
          rows->Put("instruction", static_cast<int64_t>(execution.index));
        }
      }
    }
  }
  return [&execution, lane, acc] { CheckAccumulatorLane(execution, lane, acc); };
}

}  // namespace tvm_vsq::sim
