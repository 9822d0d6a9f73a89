// Which instruction sets the inner loops may use. The library is compiled for the oldest processor of its
// architecture; kernels with vector instructions are chosen at run time, and all compute the same.
#ifndef TVM_VSQ_SIM_CPU_H_
#define TVM_VSQ_SIM_CPU_H_

#include <vector>

#if defined(__x86_64__) && defined(__GNUC__)
#define TVM_VSQ_X86 1
#define TVM_VSQ_TARGET_AVX2 __attribute__((target("avx2")))
#define TVM_VSQ_TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi")))
#else
#define TVM_VSQ_X86 0
#endif

namespace tvm_vsq::sim {

// kAvx512 is what Ice Lake and Zen 4 added to AVX-512: with VBMI, its byte permutations. They have BMI2, too,
// whose instructions are as fast as others there.
enum class Simd { kPortable, kAvx2, kAvx512 };

// What this processor runs, the best last. Tests try all of them.
inline std::vector<Simd> SupportedSimd() {
  std::vector<Simd> supported = {Simd::kPortable};
#if TVM_VSQ_X86
  if (__builtin_cpu_supports("avx2")) supported.push_back(Simd::kAvx2);
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
      __builtin_cpu_supports("bmi2")) {
    supported.push_back(Simd::kAvx512);
  }
#endif
  return supported;
}

inline Simd BestSimd() { return SupportedSimd().back(); }

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_CPU_H_
