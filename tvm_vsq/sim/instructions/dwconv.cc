#include "tvm_vsq/sim/instructions/dwconv.h"

#include <algorithm>
#include <vector>

#include "tvm_vsq/sim/dwconv_kernel.h"
#include "tvm_vsq/sim/overflow.h"
#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::sim {
namespace {

int64_t LargestScale(int64_t bits) { return std::max<int64_t>(1, (int64_t{1} << bits) - 1); }

// An element times its scale.
int64_t LargestInput(const Params& params, const isa::Dwconv& conv) {
  const int64_t element = conv.act_unsigned ? (int64_t{1} << params.activation_bits) - 1
                                            : int64_t{1} << (params.activation_bits - 1);
  return element * LargestScale(params.activation_scale_bits);
}

// Element times scale of every tap [taps][BO] of a block whose weight entries begin at `entry`.
void UnpackWeights(const Params& params, const Scratchpads& pads, const isa::Dwconv& conv, size_t entry,
                   std::vector<int32_t>* weights) {
  const auto size = static_cast<size_t>(params.vector_size), lanes = static_cast<size_t>(params.output_lanes);
  const size_t taps = Declared<isa::Dwconv>::TapCount(conv), run = Declared<isa::Dwconv>::RunTaps(conv);
  const size_t run_entries = Declared<isa::Dwconv>::RunEntries(params, conv);
  weights->resize(taps * lanes);
  for (size_t t = 0; t < taps; ++t) {
    const size_t at = entry + t / run * run_entries + t % run / size, v = t % run % size;
    const int8_t* elements = &pads.wgt[(at * size / 4 + v / 4) * lanes * 4 + v % 4];
    for (size_t lane = 0; lane < lanes; ++lane)
      (*weights)[t * lanes + lane] = elements[4 * lane] * pads.wgt_scale[at * lanes + lane];
  }
}

template <typename Acc>
void Run(const isa::Dwconv& conv, const Execution& execution, std::vector<Acc>* acc) {
  const Params& params = execution.params;
  const auto lanes = static_cast<size_t>(params.output_lanes), size = static_cast<size_t>(params.vector_size);
  const size_t taps = Declared<isa::Dwconv>::TapCount(conv);
  const size_t entries = Declared<isa::Dwconv>::Entries(params, conv);
  const DwconvKernel<Acc> kernel = SelectDwconvKernel<Acc>(BestSimd());
  std::vector<int32_t> weights;
  DwconvRow<Acc> row{};
  row.codes = conv.act_unsigned ? execution.pads->inp_code.data() : execution.pads->inp_biased.data();
  row.scales = execution.pads->inp_scale.data();
  row.bias = conv.act_unsigned ? 0 : 1 << (params.activation_bits - 1);
  row.vector_size = size;
  row.lanes = lanes;
  row.limit = execution.safe ? 0 : int64_t{1} << (params.accumulator_bits - 1);
  row.tap_rows = conv.tap_rows;
  row.tap_columns = conv.tap_columns;
  row.row_step = conv.row_step;
  row.column_step = conv.column_step;
  row.outputs = conv.iter_in;
  row.inp_step = conv.inp_in;
  row.acc_step = conv.acc_in * lanes;
  const size_t moving = conv.wgt_in == 0 ? 1 : conv.iter_in;  // outputs with weights of their own
  if (moving > 1) row.outputs = 1;
  for (const Uop& uop : execution.plan->uops) {
    for (size_t block = 0; block < Declared<isa::Dwconv>::Blocks(params, conv); ++block) {
      row.first_lane = block * lanes;
      size_t unpacked = params.wgt_depth;
      for (size_t o = 0; o < conv.iter_out; ++o) {
        for (size_t i = 0; i < moving; ++i) {
          const size_t entry = uop.wgt + o * conv.wgt_out + i * conv.wgt_in + block * entries;
          if (entry != unpacked) UnpackWeights(params, *execution.pads, conv, entry, &weights);
          unpacked = entry;
          row.weights = weights.data();
          row.inp = uop.inp + o * conv.inp_out + i * conv.inp_in;
          const size_t first = uop.acc + o * conv.acc_out + i * conv.acc_in + block;
          row.acc = acc->data() + first * lanes;
          CountWork(row.outputs * taps * (1 + lanes / 8));
          const size_t done = kernel(row);
          if (done == row.outputs) continue;
          execution.Fail("accumulator overflow: outer iteration ", o, ", inner ", i + done,
                         " brings acc entry ", first + done * conv.acc_in, " outside ",
                         params.accumulator_bits, " bits");
        }
      }
    }
  }
}

}  // namespace

std::unique_ptr<const MicroOpPlan> Declared<isa::Dwconv>::MakePlan(const Params& params,
                                                                   const isa::Dwconv& conv,
                                                                   const isa::Uop* uops) {
  auto plan = std::make_unique<MicroOpPlan>();
  FillPlan(params, Loops(params, conv), uops, plan.get());
  return plan;
}

bool Declared<isa::Dwconv>::Bound(const Params& params, const isa::Dwconv& conv, const MicroOpPlan* plan,
                                  AccumulatorBounds* bounds) {
  const int64_t weight = bounds->max_weight() * LargestScale(params.weight_scale_bits);
  const auto sum = static_cast<uint64_t>(TapCount(conv) * weight * LargestInput(params, conv));
  bool safe = true;
  for (const MicroOpPlan::Range& range : plan->touched[0]) {
    bounds->Set(range.begin, range.entries, 0);
    for (size_t entry = range.begin; entry < range.begin + range.entries; ++entry)
      safe = bounds->Add(entry, sum) && safe;
  }
  return safe;
}

void Execute(const isa::Dwconv& conv, const Execution& execution) {
  Scratchpads* pads = execution.pads;
  if (pads->acc64.empty()) {
    Run(conv, execution, &pads->acc32);
  } else {
    Run(conv, execution, &pads->acc64);
  }
}

}  // namespace tvm_vsq::sim
