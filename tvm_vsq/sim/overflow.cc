#include "tvm_vsq/sim/overflow.h"

#include <algorithm>

#include "tvm_vsq/sim/declarations.h"
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
    : max_weight_(max_weight),
      limit_(uint64_t{1} << (params.accumulator_bits - 1)),
      bounds_(static_cast<size_t>(params.acc_depth)) {}

bool AccumulatorBounds::Multiply(size_t entry, uint64_t factor, int shift) {
  uint64_t product = 0;
  const bool wraps = __builtin_mul_overflow(bounds_[entry], factor, &product);
  if (wraps || product >= uint64_t{1} << 62) return false;
  // A negative half is rounded up, so its magnitude is not.
  bounds_[entry] = static_cast<uint64_t>(RoundHalfUpShift(static_cast<int64_t>(product), shift));
  return bounds_[entry] < limit_;
}

void AccumulatorBounds::Set(uint64_t begin, uint64_t entries, uint64_t bound) {
  CountWork(entries);
  std::fill_n(bounds_.begin() + static_cast<std::ptrdiff_t>(begin), entries, bound);
}

void AccumulatorBounds::Raise(uint64_t begin, uint64_t entries, uint64_t bound) {
  CountWork(entries);
  for (uint64_t entry = begin; entry < begin + entries; ++entry)
    bounds_[entry] = std::max(bounds_[entry], bound);
}

uint64_t AccumulatorBounds::Largest(uint64_t begin, uint64_t entries) const {
  CountWork(entries);
  const auto first = bounds_.begin() + static_cast<std::ptrdiff_t>(begin);
  return entries == 0 ? 0 : *std::max_element(first, first + static_cast<std::ptrdiff_t>(entries));
}

bool AccumulatorBounds::Visit(const Params& params, const Instruction& instruction, const MicroOpPlan* plan) {
  return WithDeclaration(instruction, [&](const auto& insn, auto declared) {
    if constexpr (decltype(declared)::kBounds) {
      return declared.Bound(params, insn, plan, this);
    } else {
      ForEachTouched(params, instruction, plan, [&](Pad pad, Use use, uint64_t begin, uint64_t entries) {
        if (pad == Pad::kAcc && Writes(use)) Forget(begin, entries);
      });
      return true;
    }
  });
}

}  // namespace tvm_vsq::sim
