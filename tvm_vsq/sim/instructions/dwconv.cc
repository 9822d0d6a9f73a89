#include "tvm_vsq/sim/instructions/dwconv.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <type_traits>
#include <vector>

#include "tvm_vsq/sim/dwconv_kernel.h"
#include "tvm_vsq/sim/dwconv_scaled.h"
#include "tvm_vsq/sim/dwconv_taps.h"
#include "tvm_vsq/sim/overflow.h"
#include "tvm_vsq/sim/poll.h"
#include "tvm_vsq/sim/thread_pool.h"
#include "tvm_vsq/sim/weights.h"

namespace tvm_vsq::sim {
namespace {

int64_t LargestScale(int64_t bits) { return std::max<int64_t>(1, (int64_t{1} << bits) - 1); }

// An element times its scale.
int64_t LargestInput(const Params& params, const isa::Dwconv& conv) {
  const int64_t element = conv.act_unsigned ? (int64_t{1} << params.activation_bits) - 1
                                            : int64_t{1} << (params.activation_bits - 1);
  return element * LargestScale(params.activation_scale_bits);
}

// The weights of a block whose entries begin at `entry`.
DwconvTaps Taps(const Params& params, const Scratchpads& pads, const WeightElements& weights,
                const isa::Dwconv& conv, size_t entry) {
  DwconvTaps taps{};
  taps.elements = weights.elements;
  taps.scales = pads.wgt_scale.data();
  taps.vector_size = static_cast<size_t>(params.vector_size);
  taps.lanes = static_cast<size_t>(params.output_lanes);
  taps.entry = entry;
  taps.count = Declared<isa::Dwconv>::TapCount(conv);
  taps.run = Declared<isa::Dwconv>::RunTaps(conv);
  return taps;
}

// What a thread takes at a time, in products: microseconds. Another core has none of the operands in its
// caches.
constexpr uint64_t kPartProducts = uint64_t{1} << 16;

template <typename Acc>
class Windows {
 public:
  Windows(const isa::Dwconv& conv, const Execution& execution, Acc* acc)
      : conv_(conv),
        execution_(execution),
        params_(execution.params),
        acc_(acc),
        weights_(ElementsOfWeights(params_, Declared<isa::Dwconv>::Loops(params_, conv), *execution.plan,
                                   conv.wgt_unsigned, execution.pads)),
        kernel_(SelectDwconvKernel<Acc>(BestSimd())),
        unpack_(SelectUnpackTaps(static_cast<size_t>(params_.output_lanes), BestSimd())),
        scaled_(SelectScaledDwconv(static_cast<size_t>(params_.vector_size),
                                   static_cast<size_t>(params_.output_lanes), BestSimd())) {
    const Scratchpads& pads = *execution.pads;
    row_.codes = conv.act_unsigned ? pads.inp_code.data() : pads.inp_biased.data();
    row_.scales = pads.inp_scale.data();
    row_.bias = conv.act_unsigned ? 0 : 1 << (params_.activation_bits - 1);
    row_.vector_size = static_cast<size_t>(params_.vector_size);
    row_.lanes = static_cast<size_t>(params_.output_lanes);
    row_.limit = execution.safe ? 0 : int64_t{1} << (params_.accumulator_bits - 1);
    row_.tap_rows = conv.tap_rows;
    row_.tap_columns = conv.tap_columns;
    row_.row_step = conv.row_step;
    row_.column_step = conv.column_step;
    row_.outputs = conv.wgt_in == 0 ? conv.iter_in : 1;  // with the same weights
    row_.inp_step = conv.inp_in;
    row_.acc_step = conv.acc_in * row_.lanes;
  }

  // One micro-op and block: rows of windows [begin, end). Throws Error for an overflow.
  void Run(const Uop& uop, size_t block, size_t begin, size_t end) const {
    if constexpr (std::is_same_v<Acc, int32_t>) {
      if (execution_.safe && RunScaled(uop, block, begin, end)) return;
    }
    std::vector<int32_t> weights(Declared<isa::Dwconv>::TapCount(conv_) * row_.lanes);
    DwconvRow<Acc> row = row_;
    row.first_lane = block * row.lanes;
    auto unpacked = static_cast<size_t>(params_.wgt_depth);
    bool fits = false;  // whatever the inputs are
    for (size_t o = begin; o < end; ++o) {
      for (size_t i = 0; i < conv_.iter_in; i += row.outputs) {
        const size_t entry = WeightsOf(uop, block, o, i);
        if (entry != unpacked) {
          unpack_(Taps(params_, *execution_.pads, weights_, conv_, entry), weights.data());
          fits = row_.limit == 0 || LargestSum(weights) * LargestInput(params_, conv_) < row_.limit;
        }
        unpacked = entry;
        row.weights = weights.data();
        row.limit = fits ? 0 : row_.limit;
        row.inp = uop.inp + o * conv_.inp_out + i * conv_.inp_in;
        const size_t first = AccOf(uop, block, o, i);
        row.acc = acc_ + first * row.lanes;
        const size_t done = kernel_(row);
        if (done == row.outputs) continue;
        execution_.Fail("accumulator overflow: outer iteration ", o, ", inner ", i + done,
                        " brings acc entry ", first + done * conv_.acc_in, " outside ",
                        params_.accumulator_bits, " bits");
      }
    }
  }

  // The same where no sum overflows, with inputs that are multiplied by their scales first. False where that
  // would be no less work, or is not possible.
  bool RunScaled(const Uop& uop, size_t block, size_t begin, size_t end) const {
    const size_t step = conv_.column_step, taps = Declared<isa::Dwconv>::TapCount(conv_);
    if (scaled_ == nullptr || step == 0) return false;
    if (conv_.inp_out % step != 0 || conv_.inp_in % step != 0 || conv_.row_step % step != 0) return false;
    const size_t last = (end - begin - 1) * conv_.inp_out + (conv_.iter_in - 1) * conv_.inp_in +
                        (conv_.tap_rows - 1) * conv_.row_step + (conv_.tap_columns - 1) * step;
    const size_t count = last / step + 1, lanes = row_.lanes;
    if (4 * count > 3 * (end - begin) * conv_.iter_in * taps) return false;
    const std::unique_ptr<int32_t[]> memory(new int32_t[(count + taps) * lanes]);
    int32_t *const inputs = memory.get(), *const weights = inputs + count * lanes;
    scaled_->scale({row_.codes, row_.scales, row_.bias, row_.vector_size, lanes,
                    uop.inp + begin * conv_.inp_out, step, count, block * lanes},
                   inputs);
    auto unpacked = static_cast<size_t>(params_.wgt_depth);
    for (size_t o = begin; o < end; ++o) {
      for (size_t i = 0; i < conv_.iter_in; i += row_.outputs) {
        const size_t entry = WeightsOf(uop, block, o, i);
        if (entry != unpacked) unpack_(Taps(params_, *execution_.pads, weights_, conv_, entry), weights);
        unpacked = entry;
        const size_t at = ((o - begin) * conv_.inp_out + i * conv_.inp_in) / step;
        scaled_->run({inputs + at * lanes, lanes, conv_.tap_rows, conv_.tap_columns, conv_.row_step / step,
                      weights, row_.outputs, conv_.inp_in / step, row_.acc_step,
                      acc_ + AccOf(uop, block, o, i) * lanes});
      }
    }
    return true;
  }

  size_t WeightsOf(const Uop& uop, size_t block, size_t o, size_t i) const {
    return uop.wgt + o * conv_.wgt_out + i * conv_.wgt_in +
           block * Declared<isa::Dwconv>::Entries(params_, conv_);
  }

  size_t AccOf(const Uop& uop, size_t block, size_t o, size_t i) const {
    return uop.acc + o * conv_.acc_out + i * conv_.acc_in + block;
  }

  // Of the magnitudes of a lane's weights.
  int64_t LargestSum(const std::vector<int32_t>& weights) const {
    int64_t largest = 0;
    for (size_t lane = 0; lane < row_.lanes; ++lane) {
      int64_t sum = 0;
      for (size_t at = lane; at < weights.size(); at += row_.lanes) sum += std::abs(int64_t{weights[at]});
      largest = std::max(largest, sum);
    }
    return largest;
  }

  // Everything; threads share what cannot overflow.
  void Run() const {
    const size_t blocks = Declared<isa::Dwconv>::Blocks(params_, conv_), rows = conv_.iter_out;
    const uint64_t products = uint64_t{conv_.iter_in} * Declared<isa::Dwconv>::TapCount(conv_) * row_.lanes;
    const size_t high = execution_.safe ? std::clamp<uint64_t>(kPartProducts / products, 1, rows) : rows;
    const size_t bands = (rows + high - 1) / high, parts = execution_.plan->uops.size() * blocks * bands;
    const auto run = [&](size_t part) {
      const size_t begin = part % bands * high;
      Run(execution_.plan->uops[part / bands / blocks], part / bands % blocks, begin,
          std::min(rows, begin + high));
    };
    const auto threads = static_cast<size_t>(execution_.safe ? execution_.threads : 1);
    for (size_t done = 0; done < parts; done += kRound) {
      const size_t round = std::min(kRound, parts - done);
      RunParallel(round * high * products < kPartProducts ? 1 : threads, round,
                  [&](size_t part) { run(done + part); });
      CountWork(round * high * (products / 8 + 1));
    }
  }

 private:
  static constexpr size_t kRound = 64;  // parts between two polls

  const isa::Dwconv& conv_;
  const Execution& execution_;
  const Params& params_;
  Acc* const acc_;
  const WeightElements weights_;
  const DwconvKernel<Acc> kernel_;
  const UnpackTaps unpack_;
  const ScaledDwconv* const scaled_;
  DwconvRow<Acc> row_{};
};

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
  const int64_t element = LargestWeight(params, conv.wgt_unsigned, bounds->max_weight());
  const int64_t weight = element * LargestScale(params.weight_scale_bits);
  const auto sum = static_cast<uint64_t>(TapCount(conv) * weight * LargestInput(params, conv)) << conv.shift;
  bool safe = true;
  for (const MicroOpPlan::Range& range : plan->touched[0]) {
    if (!conv.accumulate) bounds->Set(range.begin, range.entries, 0);
    for (size_t entry = range.begin; entry < range.begin + range.entries; ++entry)
      safe = bounds->Add(entry, sum) && safe;
  }
  if (safe || !conv.accumulate) return safe;
  // Checked at run time.
  for (const MicroOpPlan::Range& range : plan->touched[0]) bounds->Forget(range.begin, range.entries);
  return false;
}

namespace {

// Sums that are shifted or added to others are made apart from these first: each accumulator has one.
template <typename Sum, typename Acc>
void Add(const isa::Dwconv& conv, const Execution& execution, std::vector<Acc>* acc) {
  CountWork(acc->size() / 16);
  std::vector<Sum> sums(acc->size());
  Execution apart = execution;
  apart.safe = true;  // as they are, they fit `Sum`
  Windows<Sum>(conv, apart, sums.data()).Run();
  const Params& params = execution.params;
  const auto lanes = static_cast<size_t>(params.output_lanes);
  const int64_t limit = int64_t{1} << (params.accumulator_bits - 1), unit = int64_t{1} << conv.shift;
  for (const MicroOpPlan::Range& range : execution.plan->touched[0]) {
    CountWork(range.entries * lanes / 8);
    for (size_t i = range.begin * lanes; i < (range.begin + range.entries) * lanes; ++i) {
      const int64_t sum = (conv.accumulate ? int64_t{(*acc)[i]} : 0) + int64_t{sums[i]} * unit;
      if (!execution.safe && (sum < -limit || sum >= limit)) {
        execution.Fail("accumulator overflow: brings acc entry ", i / lanes, " outside ",
                       params.accumulator_bits, " bits");
      }
      (*acc)[i] = static_cast<Acc>(sum);
    }
  }
}

template <typename Acc>
void Run(const isa::Dwconv& conv, const Execution& execution, std::vector<Acc>* acc) {
  if (conv.shift == 0 && !conv.accumulate) {
    Windows<Acc>(conv, execution, acc->data()).Run();
  } else if (execution.safe) {
    Add<Acc>(conv, execution, acc);
  } else {
    Add<int64_t>(conv, execution, acc);
  }
}

}  // namespace

void Execute(const isa::Dwconv& conv, const Execution& execution) {
  Scratchpads* pads = execution.pads;
  if (pads->acc64.empty()) {
    Run(conv, execution, &pads->acc32);
  } else {
    Run(conv, execution, &pads->acc64);
  }
}

}  // namespace tvm_vsq::sim
