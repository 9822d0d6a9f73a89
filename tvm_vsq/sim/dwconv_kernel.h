// The inner loops of a depthwise convolution: the outputs of a row, in each output lane its own channel.
#ifndef TVM_VSQ_SIM_DWCONV_KERNEL_H_
#define TVM_VSQ_SIM_DWCONV_KERNEL_H_

#include <cstddef>
#include <cstdint>

#include "tvm_vsq/sim/cpu.h"

namespace tvm_vsq::sim {

// `Acc` is int32_t or int64_t, the type of the accumulators. Steps are in entries of inp, or in accumulators.
template <typename Acc>
struct DwconvRow {
  const uint8_t* codes;   // [inp_depth][V]: element + bias
  const int32_t* scales;  // [inp_depth]
  int32_t bias;
  size_t vector_size, lanes;
  size_t inp, first_lane;  // the first entry of the first output's window, and its first channel in there
  size_t tap_rows, tap_columns, row_step, column_step;
  const int32_t* weights;  // [taps][lanes]: element times scale
  size_t outputs, inp_step, acc_step;
  Acc* acc;       // of the first output
  int64_t limit;  // accumulators are in [-limit, limit); 0 where all are known to be, and fit Acc
};

// The outputs that were computed before one left the limit: all of them, if none does.
template <typename Acc>
using DwconvKernel = size_t (*)(const DwconvRow<Acc>&);

// The fastest kernel that `simd` allows; all compute the same.
template <typename Acc>
DwconvKernel<Acc> SelectDwconvKernel(Simd simd);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_DWCONV_KERNEL_H_
