// The inner loop of GEMM: a run of micro-ops without range checks.
#ifndef TVM_VSQ_SIM_GEMM_KERNEL_H_
#define TVM_VSQ_SIM_GEMM_KERNEL_H_

#include <cstddef>
#include <cstdint>

#include "tvm_vsq/sim/scratchpads.h"

namespace tvm_vsq::sim {

struct GemmOperands {
  const Uop* uops;
  size_t count;
  // First entries: a micro-op's indices are relative to these pointers.
  const int16_t* inp;        // [...][V]
  const int32_t* inp_scale;  // [...]
  const int16_t* wgt;        // [...][V/2][BO][2]
  const int32_t* wgt_scale;  // [...][BO]
  int64_t* acc;              // [...][BO]
  int vector_size, output_lanes;
  int product_shift, product_max;  // scale product: min(rhu(s_w * s_a, 2^shift), max) where shift > 0
  int accumulator_bits;
};

// acc[a][b] += product(scales) * dot(inp[x], wgt[w][b]) for every micro-op and lane b. Stops behind the first
// micro-op that brings an accumulator outside accumulator_bits and returns its number; `count` if there is
// none.
using GemmKernel = size_t (*)(const GemmOperands&);

// The fastest kernel that this processor runs; all compute the same.
GemmKernel SelectGemmKernel(int output_lanes);

// Portable C++; the reference for the others.
size_t RunGemmPortable(const GemmOperands& operands);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_GEMM_KERNEL_H_
