// The vector unit's operations, where no result leaves the accumulators' bits.
#ifndef TVM_VSQ_SIM_VEC_KERNEL_H_
#define TVM_VSQ_SIM_VEC_KERNEL_H_

#include <cstddef>
#include <cstdint>

#include "tvm_vsq/isa/isa.h"
#include "tvm_vsq/sim/cpu.h"

namespace tvm_vsq::sim {

// The inner loop of an instruction.
struct VecOperands {
  const uint8_t*
      codes;  // [inp_depth][V]: element + bias; null where values are the immediate or accumulators
  const int32_t* scales;  // [inp_depth]
  size_t entries;         // of a vector: the distance of those of a group
  int32_t bias, immediate;
  int32_t coefficient;  // of the values that are added
  int shift;            // of products, and of a table's arguments
  int64_t limit;        // kSaturationLimit
  const int32_t *table_values, *table_slopes;
  size_t vector_size, output_lanes, lanes;  // the last of a channel group
  const isa::Uop* uops;
  size_t uop_count, iter_in, inp_in, acc_in;
};

// `inp` is added to the micro-ops' entries of inp; `acc` is the accumulator that their entries count from.
// `source` is the first accumulator where the values are accumulators, whose entries are those of inp, else
// null.
template <typename Acc>
using VecKernel = void (*)(const VecOperands& operands, size_t inp, const Acc* source, Acc* acc);

// The fastest kernel that `simd` allows; all compute the same. `Acc` is int32_t or int64_t.
template <typename Acc>
VecKernel<Acc> SelectVecKernel(isa::Vec::Op op, Simd simd);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_VEC_KERNEL_H_
