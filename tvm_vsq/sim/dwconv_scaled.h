// A depthwise convolution that multiplies each input by its scale once, and not once for each window in which
// it lies.
#ifndef TVM_VSQ_SIM_DWCONV_SCALED_H_
#define TVM_VSQ_SIM_DWCONV_SCALED_H_

#include <cstddef>
#include <cstdint>

#include "tvm_vsq/sim/cpu.h"

namespace tvm_vsq::sim {

// Every `step`th entry of inp from `first` on, and of its vector the lanes from first_lane on.
struct DwconvInputs {
  const uint8_t* codes;   // [inp_depth][V]: element + bias
  const int32_t* scales;  // [inp_depth]
  int32_t bias;
  size_t vector_size, lanes;
  size_t first, step, count, first_lane;
};

// The outputs of a row, whose sums fit 32 bits. Steps are in inputs, or in accumulators; taps of a row are
// neighbours.
struct ScaledRow {
  const int32_t* inputs;  // [..][lanes]: of the first output's window
  size_t lanes, tap_rows, tap_columns, row_step;
  const int32_t* weights;  // [taps][lanes]: element times scale
  size_t outputs, inp_step, acc_step;
  int32_t* acc;  // of the first output
};

struct ScaledDwconv {
  void (*scale)(const DwconvInputs& inputs, int32_t* scaled);  // [count][lanes]
  void (*run)(const ScaledRow& row);
};

// Null where `simd` has none for so many lanes: sim/dwconv_kernel.h computes the same.
const ScaledDwconv* SelectScaledDwconv(size_t vector_size, size_t lanes, Simd simd);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_DWCONV_SCALED_H_
