#include "tvm_vsq/sim/gemm_bound.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "tvm_vsq/sim/gemm_kernel.h"
#include "tvm_vsq/sim/instructions/gemm.h"
#include "tvm_vsq/sim/poll.h"
#include "tvm_vsq/sim/rounding.h"
#include "tvm_vsq/sim/weights.h"

namespace tvm_vsq::sim {
namespace {

// What the instruction touches of a scratchpad that it has one access to.
const MicroOpPlan::Ranges& EntriesOf(Pad pad, const MicroOpLoops& loops, const MicroOpPlan& plan) {
  const auto access = std::find_if(loops.begin(), loops.end(),
                                   [&](const IndexedAccess& candidate) { return candidate.pad == pad; });
  return plan.touched[static_cast<size_t>(access - loops.begin())];
}

int64_t LargestWeightScale(const MicroOpPlan::Ranges& entries, size_t lanes, const Scratchpads& pads) {
  int32_t largest = 0;
  for (const MicroOpPlan::Range& range : entries) {
    CountWork(range.entries * lanes / 8);
    const int32_t* scales = &pads.wgt_scale[range.begin * lanes];
    for (size_t i = 0; i < range.entries * lanes; ++i) largest = std::max(largest, scales[i]);
  }
  return largest;
}

// By entry of the activations: the sum of its elements' magnitudes, times the largest factor that scales
// give.
std::vector<uint64_t> Magnitudes(const GemmFormat& format, bool act_unsigned, int64_t weight_scale,
                                 const MicroOpPlan::Ranges& entries, const Scratchpads& pads) {
  const auto size = static_cast<size_t>(format.vector_size);
  const std::vector<uint8_t>& elements = act_unsigned ? pads.inp_code : pads.inp_biased;
  std::vector<uint64_t> magnitudes(pads.inp_scale.size());
  for (const MicroOpPlan::Range& range : entries) {
    CountWork(range.entries * size / 4);
    for (size_t entry = range.begin; entry < range.begin + range.entries; ++entry) {
      const uint8_t* x = &elements[entry * size];
      uint32_t sum = 0;
      for (size_t i = 0; i < size; ++i) sum += static_cast<uint32_t>(std::abs(x[i] - format.inp_bias));
      int64_t factor = format.scaling == Scaling::kNone ? 1 : weight_scale * pads.inp_scale[entry];
      if (format.product_shift > 0 && format.scaling != Scaling::kNone)
        factor = std::min<int64_t>(RoundHalfUpShift(factor, format.product_shift), format.product_max);
      magnitudes[entry] = sum * static_cast<uint64_t>(factor);
    }
  }
  return magnitudes;
}

}  // namespace

bool OperandsFit(const Params& params, const isa::Gemm& gemm, const GemmPlan& plan, const Scratchpads& pads) {
  const GemmFormat format(params, gemm);
  const auto lanes = static_cast<size_t>(params.output_lanes);
  const MicroOpLoops loops = Declared<isa::Gemm>::Loops(params, gemm);
  const int64_t weight_scale = LargestWeightScale(EntriesOf(Pad::kWgt, loops, plan), lanes, pads);
  const std::vector<uint64_t> magnitudes =
      Magnitudes(format, gemm.act_unsigned, weight_scale, EntriesOf(Pad::kInp, loops, plan), pads);
  const int64_t weight = LargestWeight(params, gemm.wgt_unsigned, int64_t{1} << (params.weight_bits - 1));
  const int64_t factor = weight << gemm.shift, most = (int64_t{1} << (params.accumulator_bits - 1)) - 1;
  for (const GemmPlan::Tile& tile : plan.tiles) {
    const GemmPlan::Step* steps = &plan.steps[tile.first_step];
    for (size_t p = tile.first_pixel; p < tile.first_pixel + tile.pixels; ++p) {
      CountWork(tile.steps + lanes / 8);
      const uint64_t* magnitude = &magnitudes[tile.inp + plan.pixels[p].inp];
      uint64_t sum = 0;
      for (size_t s = 0; s < tile.steps; ++s) sum += magnitude[steps[s].inp];
      const int32_t* acc = &pads.acc32[size_t{tile.acc + plan.pixels[p].acc} * lanes];
      int64_t largest = 0;
      for (size_t lane = 0; lane < lanes; ++lane) largest = std::max(largest, std::abs(int64_t{acc[lane]}));
      if (largest > most || sum > static_cast<uint64_t>((most - largest) / factor)) return false;
    }
  }
  return true;
}

}  // namespace tvm_vsq::sim
