// What AVX2 and AVX-VNNI kernels share. Included once, behind the definition of TVM_VSQ_TARGET, as
// gemm_vectors.h.
#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace tvm_vsq::sim {
namespace {

struct Vector256 {
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
};

}  // namespace
}  // namespace tvm_vsq::sim
