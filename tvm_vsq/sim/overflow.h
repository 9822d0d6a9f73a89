// Which GEMM instructions cannot overflow an accumulator, whatever the data.
#ifndef TVM_VSQ_SIM_OVERFLOW_H_
#define TVM_VSQ_SIM_OVERFLOW_H_

#include <cstdint>
#include <vector>

#include "tvm_vsq/sim/gemm_plan.h"
#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/params.h"

namespace tvm_vsq::sim {

// The largest factor that the vector scales give a dot product.
int64_t LargestProduct(const Params& params);

// The largest magnitude of a dot product, if that of a weight is `max_weight`.
int64_t LargestDot(const Params& params, bool act_unsigned, int64_t max_weight);

// Follows an upper bound of every accumulator's magnitude through a program.
class AccumulatorBounds {
 public:
  AccumulatorBounds(const Params& params, int64_t max_weight);

  // Whether no accumulator can leave accumulator_bits, in any order of the additions.
  bool Visit(const Gemm& gemm, const GemmPlan& plan);
  void Visit(const Ppu& ppu);

 private:
  const uint64_t limit_;
  const uint64_t addend_[2];  // by act_unsigned
  std::vector<uint64_t> bounds_;
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_OVERFLOW_H_
