// The inner loop of GEMM: a run of micro-ops without range checks.
#ifndef TVM_VSQ_SIM_GEMM_KERNEL_H_
#define TVM_VSQ_SIM_GEMM_KERNEL_H_

#include <cstddef>
#include <cstdint>

#include "tvm_vsq/sim/scratchpads.h"

namespace tvm_vsq::sim {

template <typename Acc>
struct GemmOperands {
  const Uop* uops;
  size_t count;
  // First entries: a micro-op's indices are relative to these pointers. The layouts are those of Scratchpads.
  const uint8_t* inp;  // elements plus inp_bias
  const int32_t* inp_scale;
  const int8_t* wgt;
  const int32_t* wgt_scale;
  Acc* acc;
  int inp_bias;
  int vector_size, output_lanes;
  int product_shift, product_max;  // scale product: min(rhu(s_w * s_a, 2^shift), max) where shift > 0
  int accumulator_bits;
};

// acc[a][b] += product(scales) * dot(inp[x], wgt[w][b]) for every micro-op and lane b. Stops behind the first
// micro-op that brings an accumulator outside accumulator_bits and returns its number; `count` if there is
// none.
size_t RunGemm(const GemmOperands<int32_t>& operands);
size_t RunGemm(const GemmOperands<int64_t>& operands);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_GEMM_KERNEL_H_
