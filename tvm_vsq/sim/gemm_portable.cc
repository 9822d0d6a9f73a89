// The kernel for every processor.
#include <algorithm>

#include "tvm_vsq/sim/gemm_kernel.h"

namespace tvm_vsq::sim {
namespace {

constexpr size_t kMaxLanes = 64;

void RunStep(const GemmFormat& format, const GemmOperands& g, size_t inp, size_t wgt, int32_t* acc) {
  const auto size = static_cast<size_t>(format.vector_size), lanes = static_cast<size_t>(format.output_lanes);
  const uint8_t* x = g.inp + inp * size;
  const int8_t* w = g.wgt + wgt * size * lanes;
  const int32_t half = format.product_shift > 0 ? 1 << (format.product_shift - 1) : 0;
  int32_t dot[kMaxLanes] = {};
  for (size_t i = 0; i < size; i += 4, x += 4) {
    for (size_t b = 0; b < lanes; ++b, w += 4)
      dot[b] += x[0] * w[0] + x[1] * w[1] + x[2] * w[2] + x[3] * w[3];
  }
  for (size_t b = 0; b < lanes; ++b) {
    const int32_t full = g.wgt_scale[wgt * lanes + b] * g.inp_scale[inp];
    // Without a shift, half is 0 and the maximum does not bind.
    const int32_t scaled = std::min((full + half) >> format.product_shift, format.product_max);
    const int32_t product = format.scaling == Scaling::kNone ? 1 : scaled;
    acc[b] += product * (dot[b] - format.inp_bias * g.wgt_sum[wgt * lanes + b]);
  }
}

void Run(const GemmFormat& format, const GemmOperands& g, const GemmPlan& plan, const GemmPlan::Tile& tile,
         size_t begin, size_t end) {
  const auto lanes = static_cast<size_t>(format.output_lanes);
  for (size_t p = begin; p < end; ++p) {
    const GemmPlan::Pixel& pixel = plan.pixels[tile.first_pixel + p];
    int32_t* acc = g.acc + size_t{tile.acc + pixel.acc} * lanes;
    for (size_t s = tile.first_step; s < tile.first_step + tile.steps; ++s) {
      const GemmPlan::Step& step = plan.steps[s];
      RunStep(format, g, tile.inp + pixel.inp + step.inp, tile.wgt + step.wgt, acc);
    }
  }
}

}  // namespace

const GemmKernel kGemmPortable = {"portable", 1, [] { return true; }, Run};

}  // namespace tvm_vsq::sim
