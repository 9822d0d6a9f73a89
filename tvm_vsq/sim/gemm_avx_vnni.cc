// GEMM with AVX-VNNI: 8 lanes.
#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#include <immintrin.h>

#include <cstdint>
#include <cstring>

#define TVM_VSQ_TARGET __attribute__((target("avx2,avxvnni")))

namespace tvm_vsq::sim {
namespace {

struct Vector {
  using Register = __m256i;
  static constexpr int kLanes = 8;

  TVM_VSQ_TARGET static Register Load(const void* address) {
    return _mm256_loadu_si256(static_cast<const Register*>(address));
  }
  TVM_VSQ_TARGET static void Store(int32_t* address, Register value) {
    _mm256_storeu_si256(reinterpret_cast<Register*>(address), value);
  }
  TVM_VSQ_TARGET static Register Broadcast(int32_t value) { return _mm256_set1_epi32(value); }
  TVM_VSQ_TARGET static Register BroadcastFour(const uint8_t* bytes) {
    int32_t four;
    std::memcpy(&four, bytes, sizeof four);
    return _mm256_set1_epi32(four);
  }
  TVM_VSQ_TARGET static Register Add(Register a, Register b) { return _mm256_add_epi32(a, b); }
  TVM_VSQ_TARGET static Register Min(Register a, Register b) { return _mm256_min_epi32(a, b); }
  TVM_VSQ_TARGET static Register Multiply(Register a, Register b) { return _mm256_mullo_epi32(a, b); }
  TVM_VSQ_TARGET static Register ShiftRight(Register a, int bits) {
    return _mm256_srl_epi32(a, _mm_cvtsi32_si128(bits));
  }
  // a * b where a fits int16 and b is 0 to 32767.
  TVM_VSQ_TARGET static Register MultiplyShort(Register a, Register b) { return _mm256_madd_epi16(a, b); }
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
