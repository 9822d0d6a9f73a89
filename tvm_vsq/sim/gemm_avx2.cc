// GEMM with AVX2: 8 lanes.
#if defined(__x86_64__) && defined(__GNUC__)
#define TVM_VSQ_TARGET __attribute__((target("avx2")))

#include "tvm_vsq/sim/gemm_vector256.h"

namespace tvm_vsq::sim {
namespace {

struct Vector : Vector256 {
  TVM_VSQ_TARGET static Register AddMultiplyShort(Register sum, Register a, Register b) {
    return Add(sum, MultiplyShort(a, b));
  }
  // Adds the products of four unsigned by four signed bytes: those at even places, and those at odd ones.
  // (The instruction that multiplies bytes saturates.)
  TVM_VSQ_TARGET static Register AddDot(Register sum, Register bytes, Register weights) {
    const Register even = _mm256_madd_epi16(_mm256_and_si256(bytes, _mm256_set1_epi16(0xff)),
                                            _mm256_srai_epi16(_mm256_slli_epi16(weights, 8), 8));
    const Register odd = _mm256_madd_epi16(_mm256_srli_epi16(bytes, 8), _mm256_srai_epi16(weights, 8));
    return Add(sum, Add(even, odd));
  }
};

}  // namespace
}  // namespace tvm_vsq::sim

#include "tvm_vsq/sim/gemm_vectors.h"

namespace tvm_vsq::sim {

const GemmKernel kGemmAvx2 = {"avx2", Vector::kLanes, [] { return __builtin_cpu_supports("avx2") > 0; }, Run};

}  // namespace tvm_vsq::sim

#endif
