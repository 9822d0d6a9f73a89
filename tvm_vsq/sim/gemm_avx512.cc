// GEMM with AVX-512 VNNI: 16 lanes.
#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#include <cstdint>
#include <cstring>

#define TVM_VSQ_TARGET __attribute__((target("avx512f,avx512bw,avx512vnni")))

namespace tvm_vsq::sim {
namespace {

struct Vector {
  using Register = __m512i;
  static constexpr int kLanes = 16;
  // Without a mask, GCC 12 warns of what its own header leaves uninitialized; the code is the same.
  static constexpr __mmask16 kAll = 0xffff;

  TVM_VSQ_TARGET static Register Load(const void* address) { return _mm512_loadu_si512(address); }
  TVM_VSQ_TARGET static void Store(int32_t* address, Register value) { _mm512_storeu_si512(address, value); }
  TVM_VSQ_TARGET static Register Broadcast(int32_t value) { return _mm512_set1_epi32(value); }
  TVM_VSQ_TARGET static Register BroadcastFour(const uint8_t* bytes) {
    int32_t four;
    std::memcpy(&four, bytes, sizeof four);
    return _mm512_set1_epi32(four);
  }
  TVM_VSQ_TARGET static Register Add(Register a, Register b) { return _mm512_add_epi32(a, b); }
  TVM_VSQ_TARGET static Register Min(Register a, Register b) { return _mm512_maskz_min_epi32(kAll, a, b); }
  TVM_VSQ_TARGET static Register Multiply(Register a, Register b) { return _mm512_mullo_epi32(a, b); }
  TVM_VSQ_TARGET static Register ShiftRight(Register a, int bits) {
    return _mm512_maskz_srl_epi32(kAll, a, _mm_cvtsi32_si128(bits));
  }
  // a * b where a fits int16 and b is 0 to 32767.
  TVM_VSQ_TARGET static Register MultiplyShort(Register a, Register b) { return _mm512_madd_epi16(a, b); }
  TVM_VSQ_TARGET static Register AddMultiplyShort(Register sum, Register a, Register b) {
    return _mm512_dpwssd_epi32(sum, a, b);
  }
  // Adds the products of four unsigned by four signed bytes.
  TVM_VSQ_TARGET static Register AddDot(Register sum, Register bytes, Register weights) {
    return _mm512_dpbusd_epi32(sum, bytes, weights);
  }
};

}  // namespace
}  // namespace tvm_vsq::sim

#include "tvm_vsq/sim/gemm_vectors.h"

namespace tvm_vsq::sim {

const GemmKernel kGemmAvx512 = {"avx512_vnni", Vector::kLanes,
                                [] {
                                  return __builtin_cpu_supports("avx512f") > 0 &&
                                         __builtin_cpu_supports("avx512bw") > 0 &&
                                         __builtin_cpu_supports("avx512vnni") > 0;
                                },
                                Run};

}  // namespace tvm_vsq::sim

#endif
