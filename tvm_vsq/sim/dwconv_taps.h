// The weights of a depthwise convolution as its kernels take them.
#ifndef TVM_VSQ_SIM_DWCONV_TAPS_H_
#define TVM_VSQ_SIM_DWCONV_TAPS_H_

#include <cstddef>
#include <cstdint>

#include "tvm_vsq/sim/cpu.h"

namespace tvm_vsq::sim {

// The taps of a block: runs of them, each of which begins in a new entry of wgt and fills as many as it
// takes.
struct DwconvTaps {
  const int8_t* elements;  // [wgt_depth][V/4][lanes][4]
  const int32_t* scales;   // [wgt_depth][lanes]
  size_t vector_size, lanes;
  size_t entry;  // the first one
  size_t count, run;
};

// Writes weights [count][lanes]: element times scale.
using UnpackTaps = void (*)(const DwconvTaps& taps, int32_t* weights);

// The fastest that `simd` allows for so many lanes; all compute the same.
UnpackTaps SelectUnpackTaps(size_t lanes, Simd simd);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_DWCONV_TAPS_H_
