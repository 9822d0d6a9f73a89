// GEMM with AVX-VNNI: 8 lanes.
#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>

#define TVM_VSQ_TARGET __attribute__((target("avx2,avxvnni")))

#include "tvm_vsq/sim/gemm_vector256.h"

namespace tvm_vsq::sim {
namespace {

struct Vector : Vector256 {
  TVM_VSQ_TARGET static Register AddMultiplyShort(Register sum, Register a, Register b) {
    return _mm256_dpwssd_avx_epi32(sum, a, b);
  }
  // Adds the products of four unsigned by four signed bytes.
  TVM_VSQ_TARGET static Register AddDot(Register sum, Register bytes, Register weights) {
    return _mm256_dpbusd_avx_epi32(sum, bytes, weights);
  }
};

}  // namespace
}  // namespace tvm_vsq::sim

#include "tvm_vsq/sim/gemm_vectors.h"

namespace tvm_vsq::sim {
namespace {

// Not every compiler's __builtin_cpu_supports knows the name: leaf 7.1, EAX bit 4 (Intel SDM, CPUID).
bool Supported() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __builtin_cpu_supports("avx2") > 0 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 &&
         (eax >> 4 & 1) != 0;
}

}  // namespace

const GemmKernel kGemmAvxVnni = {"avx_vnni", Vector::kLanes, Supported, Run};

}  // namespace tvm_vsq::sim

#endif
