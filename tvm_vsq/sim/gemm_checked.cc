#include "tvm_vsq/sim/gemm_checked.h"

#include <algorithm>

#include "tvm_vsq/sim/rounding.h"

namespace tvm_vsq::sim {

template <typename Acc>
size_t RunChecked(const GemmFormat& format, const GemmOperands& g, const GemmIteration& iteration,
                  int accumulator_bits, Acc* accumulators) {
  constexpr size_t kMaxLanes = 64;
  const auto size = static_cast<size_t>(format.vector_size), lanes = static_cast<size_t>(format.output_lanes);
  const int64_t limit = int64_t{1} << (accumulator_bits - 1);
  for (size_t u = 0; u < iteration.count; ++u) {
    const Uop& uop = iteration.uops[u];
    const size_t inp = uop.inp + iteration.inp, wgt = uop.wgt + iteration.wgt;
    const uint8_t* x = g.inp + inp * size;
    const int8_t* w = g.wgt + wgt * size * lanes;
    const int32_t* scales = g.wgt_scale + wgt * lanes;
    Acc* acc = accumulators + (uop.acc + iteration.acc) * lanes;
    int32_t dot[kMaxLanes] = {};
    for (size_t i = 0; i < size; i += 4, x += 4) {
      for (size_t b = 0; b < lanes; ++b, w += 4) {
        for (size_t k = 0; k < 4; ++k) dot[b] += (x[k] - format.inp_bias) * w[k];
      }
    }
    bool overflow = false;
    for (size_t b = 0; b < lanes; ++b) {
      int64_t product = int64_t{scales[b]} * g.inp_scale[inp];
      if (format.scaling == Scaling::kNone) {
        product = 1;
      } else if (format.product_shift > 0) {
        product = std::min<int64_t>(RoundHalfUpShift(product, format.product_shift), format.product_max);
      }
      const int64_t sum = acc[b] + product * dot[b] * (int64_t{1} << iteration.shift);
      overflow |= sum < -limit || sum >= limit;
      acc[b] = static_cast<Acc>(sum);
    }
    if (overflow) return u;
  }
  return iteration.count;
}

template size_t RunChecked(const GemmFormat&, const GemmOperands&, const GemmIteration&, int, int32_t*);
template size_t RunChecked(const GemmFormat&, const GemmOperands&, const GemmIteration&, int, int64_t*);

}  // namespace tvm_vsq::sim
