#include <algorithm>

#include "tvm_vsq/sim/gemm_kernel.h"
#include "tvm_vsq/sim/rounding.h"

namespace tvm_vsq::sim {
namespace {

template <typename Acc>
size_t Run(const GemmOperands<Acc>& g) {
  constexpr int kMaxLanes = 64;
  const auto size = static_cast<size_t>(g.vector_size), lanes = static_cast<size_t>(g.output_lanes);
  const int64_t limit = int64_t{1} << (g.accumulator_bits - 1);
  for (size_t u = 0; u < g.count; ++u) {
    const Uop& uop = g.uops[u];
    const uint8_t* x = g.inp + uop.inp * size;
    const int8_t* w = g.wgt + uop.wgt * size * lanes;
    const int32_t* scales = g.wgt_scale + uop.wgt * lanes;
    Acc* acc = g.acc + uop.acc * lanes;
    int32_t dot[kMaxLanes] = {};
    for (size_t i = 0; i < size; i += 4, x += 4) {
      for (size_t b = 0; b < lanes; ++b, w += 4) {
        for (size_t k = 0; k < 4; ++k) dot[b] += (x[k] - g.inp_bias) * w[k];
      }
    }
    bool overflow = false;
    for (size_t b = 0; b < lanes; ++b) {
      int64_t product = int64_t{scales[b]} * g.inp_scale[uop.inp];
      if (g.product_shift > 0) {
        product = std::min<int64_t>(RoundHalfUpShift(product, g.product_shift), g.product_max);
      }
      const int64_t sum = acc[b] + product * dot[b];
      overflow |= sum < -limit || sum >= limit;
      acc[b] = static_cast<Acc>(sum);
    }
    if (overflow) return u;
  }
  return g.count;
}

}  // namespace

size_t RunGemm(const GemmOperands<int32_t>& operands) { return Run(operands); }
size_t RunGemm(const GemmOperands<int64_t>& operands) { return Run(operands); }

}  // namespace tvm_vsq::sim
