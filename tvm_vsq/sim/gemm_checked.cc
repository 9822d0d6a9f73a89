#include "tvm_vsq/sim/gemm_checked.h"

#include <algorithm>

#include "tvm_vsq/sim/rounding.h"

namespace tvm_vsq::sim {

template <typename Acc>
size_t RunChecked(const GemmFormat& format, const GemmOperands& g, const GemmIteration& iteration,
                  int accumulator_bits, Acc* accumulators) {
  constexpr size_t kMaxLanes = 64, kSideBySide = 16;
  const auto size = static_cast<size_t>(format.vector_size), lanes = static_cast<size_t>(format.output_lanes);
  const int64_t limit = int64_t{1} << (accumulator_bits - 1);
  for (size_t u = 0; u < iteration.count; ++u) {
    const Uop& uop = iteration.uops[u];
    const size_t inp = uop.inp + iteration.inp, wgt = uop.wgt + iteration.wgt;
    const uint8_t* x = g.inp + inp * size;
    const int8_t* w = g.wgt + wgt * size * lanes;
    const int32_t* scales = g.wgt_scale + wgt * lanes;
    Acc* acc = accumulators + (uop.acc + iteration.acc) * lanes;
    // Four partial sums a lane, so that neighbours are multiplied side by side: lanes are 4 or more.
    int32_t parts[4 * kMaxLanes];
    std::fill_n(parts, 4 * lanes, 0);
    for (size_t i = 0; i < size; i += 4, x += 4, w += 4 * lanes) {
      int16_t elements[kSideBySide];
      for (size_t k = 0; k < kSideBySide; ++k) elements[k] = static_cast<int16_t>(x[k % 4] - format.inp_bias);
      for (size_t first = 0; first < 4 * lanes; first += kSideBySide)
        for (size_t k = 0; k < kSideBySide; ++k) parts[first + k] += elements[k] * w[first + k];
    }
    bool overflow = false;
    for (size_t b = 0; b < lanes; ++b) {
      const int32_t* part = parts + 4 * b;
      const int32_t dot = part[0] + part[1] + part[2] + part[3];
      int64_t product = int64_t{scales[b]} * g.inp_scale[inp];
      if (format.scaling == Scaling::kNone) {
        product = 1;
      } else if (format.product_shift > 0) {
        product = std::min<int64_t>(RoundHalfUpShift(product, format.product_shift), format.product_max);
      }
      const int64_t sum = acc[b] + product * dot * (int64_t{1} << iteration.shift);
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
