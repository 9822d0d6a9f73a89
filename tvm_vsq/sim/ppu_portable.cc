#include <algorithm>
#include <type_traits>

#include "tvm_vsq/sim/ppu.h"
#include "tvm_vsq/sim/ppu_kernel.h"
#include "tvm_vsq/sim/rounding.h"

namespace tvm_vsq::sim {
namespace {

template <typename Acc>
void RunPpuPortable(const PpuOperands<Acc>& g) {
  constexpr size_t kMaxSize = 64;
  const auto size = static_cast<size_t>(g.vector_size);
  Acc* acc = g.acc;
  for (size_t n = 0; n < g.pixels * g.vectors; ++n, acc += size) {
    const ChannelParams* channels = g.channels + n % g.vectors * size;
    int32_t y[kMaxSize];
    for (size_t i = 0; i < size; ++i) {
      int64_t residual = 0;
      if (g.residual != nullptr) {
        const int64_t value = int64_t{g.residual[n * size + i] - g.res_bias} * g.residual_scale[n];
        residual = RoundHalfUpShift(value * g.res_mult, g.res_shift);
      }
      y[i] = PostProcess(acc[i], channels[i], residual, g.relu);
    }
    if (g.wide) {
      std::copy_n(y, size, acc);
    } else {
      g.out_scale[n] = Requantize(g.format, y, g.vector_size, g.out + n * size);
    }
  }
}

}  // namespace

template <typename Acc>
PpuKernel<Acc> SelectPpuKernel(int vector_size, Simd simd) {
  if constexpr (std::is_same_v<Acc, int32_t>) {
    PpuKernel<Acc> kernel = simd == Simd::kAvx512 ? SelectPpuKernelAvx512(vector_size) : nullptr;
    if (kernel == nullptr && simd != Simd::kPortable) kernel = SelectPpuKernelAvx2(vector_size);
    if (kernel != nullptr) return kernel;
  }
  return RunPpuPortable<Acc>;
}

template PpuKernel<int32_t> SelectPpuKernel(int, Simd);
template PpuKernel<int64_t> SelectPpuKernel(int, Simd);

}  // namespace tvm_vsq::sim
