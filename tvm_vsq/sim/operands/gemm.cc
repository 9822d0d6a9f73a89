#include <algorithm>
#include <vector>

#include "tvm_vsq/sim/instructions/gemm.h"
#include "tvm_vsq/sim/operands/lane.h"
#include "tvm_vsq/sim/operands/recorder.h"
#include "tvm_vsq/sim/poll.h"
#include "tvm_vsq/sim/rounding.h"

namespace tvm_vsq::sim {
namespace {

struct MicroOp {
  size_t acc, inp, wgt;
  bool fresh;
};

int64_t ScaleProduct(const Params& params, int64_t weight_scale, int64_t activation_scale) {
  const int64_t product = weight_scale * activation_scale;
  if (params.product_shift == 0) return product;
  const int64_t most = (int64_t{1} << params.product_bits) - 1;
  return std::min(RoundHalfUpShift(product, static_cast<int>(params.product_shift)), most);
}

// What the lane's accumulator becomes.
int64_t Accumulate(const isa::Gemm& gemm, const Execution& execution, size_t lane, const MicroOp& op,
                   int64_t before) {
  if (gemm.reset) return 0;
  int64_t dot = 0;
  for (size_t i = 0; i < static_cast<size_t>(execution.params.vector_size); ++i)
    dot += Weight(execution, op.wgt, lane, i) * InpElement(execution, gemm.act_unsigned, op.inp, i);
  const auto lanes = static_cast<size_t>(execution.params.output_lanes);
  const int64_t factor = ScaleProduct(execution.params, execution.pads->wgt_scale[op.wgt * lanes + lane],
                                      execution.pads->inp_scale[op.inp]);
  return (op.fresh ? 0 : before) + factor * dot;
}

// What a reset does not read is 0.
void Put(const isa::Gemm& gemm, const Execution& execution, size_t lane, const MicroOp& op,
         OperandRows* rows) {
  const auto lanes = static_cast<size_t>(execution.params.output_lanes);
  const bool reads = !gemm.reset;
  for (size_t i = 0; i < static_cast<size_t>(execution.params.vector_size); ++i) {
    rows->Put("activations", reads ? InpElement(execution, gemm.act_unsigned, op.inp, i) : 0);
    rows->Put("weights", reads ? Weight(execution, op.wgt, lane, i) : 0);
  }
  rows->Put("activation_scale", reads ? execution.pads->inp_scale[op.inp] : 0);
  rows->Put("weight_scale", reads ? execution.pads->wgt_scale[op.wgt * lanes + lane] : 0);
  rows->Put("activation_unsigned", gemm.act_unsigned);
  rows->Put("reset", gemm.reset);
  rows->Put("fresh", op.fresh);
  rows->Put("entry", static_cast<int64_t>(op.acc));
  rows->Put("instruction", static_cast<int64_t>(execution.index));
}

}  // namespace

RecordResults RecordOperands(const isa::Gemm& gemm, const Execution& execution, size_t lane,
                             OperandRows* rows) {
  const std::vector<Uop>& uops = execution.plan->uops;
  const OperandRows::Range range = rows->Pass(Declared<isa::Gemm>::Visits(gemm));
  if (range.empty()) return {};
  std::vector<int64_t> acc = AccumulatorLane(execution, lane);
  uint64_t cycle = 0;
  for (size_t o = 0; o < gemm.iter_out; ++o) {
    for (size_t i = 0; i < gemm.iter_in; ++i) {
      CountWork(uops.size() * static_cast<uint64_t>(execution.params.vector_size));
      const bool begins = (o == 0 || !gemm.out_reduces) && (i == 0 || !gemm.in_reduces);
      for (size_t u = 0; u < uops.size(); ++u, ++cycle) {
        const MicroOp op{uops[u].acc + o * gemm.acc_out + i * gemm.acc_in,
                         uops[u].inp + o * gemm.inp_out + i * gemm.inp_in,
                         uops[u].wgt + o * gemm.wgt_out + i * gemm.wgt_in, begins && u < gemm.fresh_uops};
        const int64_t before = acc[op.acc];
        acc[op.acc] = Accumulate(gemm, execution, lane, op, before);
        if (!range.Holds(cycle)) continue;
        Put(gemm, execution, lane, op, rows);
        rows->Put("before", before);
        rows->Put("after", acc[op.acc]);
      }
    }
  }
  return [&execution, lane, acc] { CheckAccumulatorLane(execution, lane, acc); };
}

}  // namespace tvm_vsq::sim
