#include "tvm_vsq/sim/overflow.h"

#include <algorithm>

#include "tvm_vsq/sim/poll.h"
#include "tvm_vsq/sim/rounding.h"

namespace tvm_vsq::sim {
namespace {

int64_t LargestScale(int64_t bits) { return bits == 0 ? 1 : (int64_t{1} << bits) - 1; }

}  // namespace

int64_t LargestProduct(const Params& params) {
  const int64_t product = LargestScale(params.weight_scale_bits) * LargestScale(params.activation_scale_bits);
  if (params.product_shift == 0) return product;
  return std::min(RoundHalfUpShift(product, static_cast<int>(params.product_shift)),
                  (int64_t{1} << params.product_bits) - 1);
}

int64_t LargestDot(const Params& params, bool act_unsigned, int64_t max_weight) {
  const int64_t max_activation =
      act_unsigned ? (int64_t{1} << params.activation_bits) - 1 : int64_t{1} << (params.activation_bits - 1);
  return params.vector_size * max_weight * max_activation;
}

AccumulatorBounds::AccumulatorBounds(const Params& params, int64_t max_weight)
    : limit_(uint64_t{1} << (params.accumulator_bits - 1)),
      addend_{static_cast<uint64_t>(LargestProduct(params) * LargestDot(params, false, max_weight)),
              static_cast<uint64_t>(LargestProduct(params) * LargestDot(params, true, max_weight))},
      bounds_(static_cast<size_t>(params.acc_depth)) {}

bool AccumulatorBounds::Visit(const Gemm& gemm, const GemmPlan& plan) {
  if (gemm.reset) {
    for (const GemmPlan::Range& range : plan.acc) {
      CountWork(range.entries);
      std::fill_n(bounds_.begin() + range.begin, range.entries, uint64_t{0});
    }
    return true;
  }
  bool safe = !plan.tiles.empty();
  for (const GemmPlan::Tile& tile : plan.tiles) {
    CountWork(tile.pixels);
    const uint64_t sum = tile.steps * addend_[gemm.act_unsigned ? 1 : 0];
    for (size_t p = tile.first_pixel; p < tile.first_pixel + tile.pixels; ++p) {
      uint64_t& bound = bounds_[tile.acc + plan.pixels[p].acc];
      bound += sum;
      safe = safe && bound < limit_;
    }
  }
  // Checked at run time; what it leaves, and all else in the scratchpad, is an accumulator or an int32.
  if (!safe) {
    CountWork(bounds_.size());
    std::fill(bounds_.begin(), bounds_.end(), std::max(limit_, uint64_t{1} << 31));
  }
  return safe;
}

void AccumulatorBounds::Visit(const Ppu& ppu) {
  if (!ppu.wide) return;
  CountWork(ppu.AccEntries());
  std::fill_n(bounds_.begin() + ppu.acc_base, ppu.AccEntries(), uint64_t{1} << 31);
}

}  // namespace tvm_vsq::sim
