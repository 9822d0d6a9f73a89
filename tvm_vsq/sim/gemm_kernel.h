// The inner loops of GEMM, without range checks.
#ifndef TVM_VSQ_SIM_GEMM_KERNEL_H_
#define TVM_VSQ_SIM_GEMM_KERNEL_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tvm_vsq/sim/gemm_plan.h"
#include "tvm_vsq/sim/params.h"
#include "tvm_vsq/sim/scratchpads.h"

namespace tvm_vsq::sim {

// How dot products become addends.
enum class Scaling {
  kNone,           // no vector scales, or unscaled: the dot product itself
  kNarrow,         // times the scale product; both fit int16
  kNarrowRounded,  // the same, the scale product rounded: product_shift > 0
  kWide            // all else
};

// The numbers of one kind of GEMM instruction.
struct GemmFormat {
  GemmFormat(const Params& params, const isa::Gemm& gemm);

  Scaling scaling;
  int inp_bias;  // what the bytes of Scratchpads exceed the activations by
  int vector_size, output_lanes;
  int product_shift, product_max;  // scale product: min(rhu(s_w * s_a, 2^shift), max) where shift > 0
};

// Parts of Scratchpads.
struct GemmOperands {
  const uint8_t* inp;
  const int32_t *inp_scale, *wgt_sum, *wgt_scale;
  const int8_t* wgt;
  int32_t* acc;
};

struct GemmKernel {
  const char* name;
  int lanes;  // works on multiples of so many output lanes
  bool (*supported)();
  // Executes the pixels [begin, end) of a tile. No accumulator may overflow.
  void (*run)(const GemmFormat& format, const GemmOperands& operands, const GemmPlan& plan,
              const GemmPlan::Tile& tile, size_t begin, size_t end);
};

// The kernels for this processor, fastest first; all compute the same. "portable" is always the last.
std::vector<std::string> GemmKernelNames();

// Lets this kernel, or a slower one where it does not fit the output lanes, execute from now on. Throws Error
// for a name that is not one of GemmKernelNames().
void UseGemmKernel(std::string_view name);

const GemmKernel& SelectGemmKernel(int output_lanes);

extern const GemmKernel kGemmAvx512, kGemmAvxVnni, kGemmAvx2, kGemmPortable;

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_GEMM_KERNEL_H_
