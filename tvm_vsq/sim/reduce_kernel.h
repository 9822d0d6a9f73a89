// What REDUCE makes of a row of accumulators before its result is scaled or looked up.
#ifndef TVM_VSQ_SIM_REDUCE_KERNEL_H_
#define TVM_VSQ_SIM_REDUCE_KERNEL_H_

#include <cstddef>
#include <cstdint>

#include "tvm_vsq/isa/isa.h"
#include "tvm_vsq/sim/cpu.h"

namespace tvm_vsq::sim {

struct RowShape {
  size_t entries, step;  // from one entry to the next, in lanes
  size_t lanes, last_lanes;
  int shift;  // of what is squared
};

// `row` is the first lane of the first entry.
template <typename Acc>
using ReduceKernel = int64_t (*)(const RowShape& shape, const Acc* row);

// The fastest kernel that `simd` allows; all compute the same. `Acc` is int32_t or int64_t.
template <typename Acc>
ReduceKernel<Acc> SelectReduceKernel(isa::Reduce::Op op, Simd simd);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_REDUCE_KERNEL_H_
