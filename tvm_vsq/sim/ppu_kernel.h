// The inner loops of the PPU: all pixels of an instruction, without range checks.
#ifndef TVM_VSQ_SIM_PPU_KERNEL_H_
#define TVM_VSQ_SIM_PPU_KERNEL_H_

#include <cstddef>
#include <cstdint>

#include "tvm_vsq/sim/cpu.h"
#include "tvm_vsq/sim/requantize.h"
#include "tvm_vsq/sim/scratchpads.h"

namespace tvm_vsq::sim {

// `Acc` is int32_t or int64_t, the type of the accumulators.
template <typename Acc>
struct PpuOperands {
  size_t pixels, vectors;         // vectors of each pixel
  int vector_size;                // V: 8, 16, 32 or 64; also 4 for a wide result
  Acc* acc;                       // [pixels][vectors][V]; a wide result replaces it
  const ChannelParams* channels;  // [vectors][V]
  bool relu, wide;
  // Activations [pixels][vectors][V], stored as element + res_bias, and their scales; null without a
  // residual.
  const uint8_t* residual;
  const int32_t* residual_scale;
  int32_t res_bias, res_mult, res_shift;
  // Where the result is not wide: [pixels][vectors][V] and [pixels][vectors].
  VectorFormat format;
  uint8_t* out;
  int32_t* out_scale;
};

template <typename Acc>
using PpuKernel = void (*)(const PpuOperands<Acc>&);

// The fastest kernel that `simd` allows; all compute the same.
template <typename Acc>
PpuKernel<Acc> SelectPpuKernel(int vector_size, Simd simd);

// That of AVX2, which multiplies 32 by 32 bits; null for vectors of four and in a build for other processors.
PpuKernel<int32_t> SelectPpuKernelAvx2(int vector_size);

// That of AVX-512; null for vectors of less than sixteen and in a build for other processors.
PpuKernel<int32_t> SelectPpuKernelAvx512(int vector_size);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_PPU_KERNEL_H_
