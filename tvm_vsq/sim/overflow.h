// Which instructions cannot overflow an accumulator, whatever the data.
#ifndef TVM_VSQ_SIM_OVERFLOW_H_
#define TVM_VSQ_SIM_OVERFLOW_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/params.h"
#include "tvm_vsq/sim/plan.h"

namespace tvm_vsq::sim {

// The largest factor that the vector scales give a dot product.
int64_t LargestProduct(const Params& params);

// The largest magnitude of a dot product, if that of a weight is `max_weight`.
int64_t LargestDot(const Params& params, bool act_unsigned, int64_t max_weight);

// An upper bound of every accumulator's magnitude, which instructions change as they declare.
class AccumulatorBounds {
 public:
  AccumulatorBounds(const Params& params, int64_t max_weight);

  int64_t max_weight() const { return max_weight_; }

  // Adds to the bound of an entry; false if it can leave accumulator_bits.
  bool Add(size_t entry, uint64_t amount) {
    bounds_[entry] += amount;
    return bounds_[entry] < limit_;
  }
  // Multiplies the bound of an entry, and rounds it up when it is shifted right; false if it can leave
  // accumulator_bits, or 62 bits before the shift.
  bool Multiply(size_t entry, uint64_t factor, int shift);
  void Set(uint64_t begin, uint64_t entries, uint64_t bound);
  // At least `bound` from now on.
  void Raise(uint64_t begin, uint64_t entries, uint64_t bound);
  uint64_t Largest(uint64_t begin, uint64_t entries) const;
  // From now on entries hold any accumulator, or any int32.
  void Forget(uint64_t begin, uint64_t entries) { Set(begin, entries, std::max(limit_, uint64_t{1} << 31)); }
  void Forget() { Forget(0, bounds_.size()); }

  // What an instruction does to them. Returns whether no accumulator can leave accumulator_bits.
  bool Visit(const Params& params, const Instruction& instruction, const MicroOpPlan* plan);

 private:
  const int64_t max_weight_;
  const uint64_t limit_;
  std::vector<uint64_t> bounds_;
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_OVERFLOW_H_
