#include "tvm_vsq/sim/gemm_kernel.h"

#include <algorithm>

#include "tvm_vsq/sim/rounding.h"

namespace tvm_vsq::sim {

size_t RunGemmPortable(const GemmOperands& g) {
  constexpr int kMaxLanes = 64;
  const auto size = static_cast<size_t>(g.vector_size), lanes = static_cast<size_t>(g.output_lanes);
  const int64_t limit = int64_t{1} << (g.accumulator_bits - 1);
  for (size_t u = 0; u < g.count; ++u) {
    const Uop& uop = g.uops[u];
    const int16_t* x = g.inp + uop.inp * size;
    const int16_t* w = g.wgt + uop.wgt * size * lanes;
    const int32_t* scales = g.wgt_scale + uop.wgt * lanes;
    int64_t* acc = g.acc + uop.acc * lanes;
    int32_t dot[kMaxLanes] = {};
    for (size_t pair = 0; pair < size / 2; ++pair) {
      const int32_t x0 = x[2 * pair], x1 = x[2 * pair + 1];
      for (size_t b = 0; b < lanes; ++b) dot[b] += x0 * w[2 * b] + x1 * w[2 * b + 1];
      w += 2 * lanes;
    }
    bool overflow = false;
    for (size_t b = 0; b < lanes; ++b) {
      int64_t product = int64_t{scales[b]} * g.inp_scale[uop.inp];
      if (g.product_shift > 0) {
        product = std::min<int64_t>(RoundHalfUpShift(product, g.product_shift), g.product_max);
      }
      acc[b] += product * dot[b];
      overflow |= acc[b] < -limit || acc[b] >= limit;
    }
    if (overflow) return u;
  }
  return g.count;
}

}  // namespace tvm_vsq::sim
