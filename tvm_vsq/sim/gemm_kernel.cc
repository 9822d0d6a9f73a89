#include "tvm_vsq/sim/gemm_kernel.h"

#include <atomic>
#include <limits>

#include "tvm_vsq/sim/error.h"
#include "tvm_vsq/sim/overflow.h"
#include "tvm_vsq/sim/weights.h"

namespace tvm_vsq::sim {
namespace {

const GemmKernel* const kKernels[] = {
#if defined(__x86_64__) && defined(__GNUC__)
    &kGemmAvx512, &kGemmAvxVnni, &kGemmAvx2,
#endif
    &kGemmPortable};

std::atomic<size_t> first_kernel{0};

Scaling ScalingOf(const Params& params, const isa::Gemm& gemm) {
  constexpr int64_t kMax = std::numeric_limits<int16_t>::max();
  if (gemm.unscaled || (params.weight_scale_bits == 0 && params.activation_scale_bits == 0))
    return Scaling::kNone;
  const int64_t max_weight = LargestWeight(params, gemm.wgt_unsigned, int64_t{1} << (params.weight_bits - 1));
  if (LargestDot(params, gemm.act_unsigned, max_weight) > kMax || LargestProduct(params) > kMax)
    return Scaling::kWide;
  return params.product_shift == 0 ? Scaling::kNarrow : Scaling::kNarrowRounded;
}

}  // namespace

GemmFormat::GemmFormat(const Params& params, const isa::Gemm& gemm)
    : scaling(ScalingOf(params, gemm)),
      inp_bias(gemm.act_unsigned ? 0 : 1 << (params.activation_bits - 1)),
      vector_size(static_cast<int>(params.vector_size)),
      output_lanes(static_cast<int>(params.output_lanes)),
      product_shift(static_cast<int>(params.product_shift)),
      product_max(product_shift > 0 ? (1 << params.product_bits) - 1 : std::numeric_limits<int>::max()) {}

std::vector<std::string> GemmKernelNames() {
  std::vector<std::string> names;
  for (const GemmKernel* kernel : kKernels) {
    if (kernel->supported()) names.emplace_back(kernel->name);
  }
  return names;
}

void UseGemmKernel(std::string_view name) {
  std::string known;
  for (size_t i = 0; i < std::size(kKernels); ++i) {
    if (!kKernels[i]->supported()) continue;
    if (name == kKernels[i]->name) {
      first_kernel = i;
      return;
    }
    known += (known.empty() ? "" : ", ") + std::string(kKernels[i]->name);
  }
  Fail("no GEMM kernel '", name, "' on this processor; there are ", known);
}

const GemmKernel& SelectGemmKernel(int output_lanes) {
  for (size_t i = first_kernel; i < std::size(kKernels); ++i) {
    if (output_lanes % kKernels[i]->lanes == 0 && kKernels[i]->supported()) return *kKernels[i];
  }
  return kGemmPortable;
}

}  // namespace tvm_vsq::sim
