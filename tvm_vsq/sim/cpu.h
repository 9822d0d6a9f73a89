// Which instruction sets the inner loops may use. The library is compiled for the oldest processor of its
// architecture; kernels with vector instructions are chosen at run time, and all compute the same.
#ifndef TVM_VSQ_SIM_CPU_H_
#define TVM_VSQ_SIM_CPU_H_

#include <vector>

#if defined(__x86_64__) && defined(__GNUC__)
#define TVM_VSQ_X86 1
#define TVM_VSQ_TARGET_AVX2 __attribute__((target("avx2,bmi,bmi2")))
#define TVM_VSQ_TARGET_AVX512 \
  __attribute__((target("avx2,bmi,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vnni")))
#else
#define TVM_VSQ_X86 0
#endif

namespace tvm_vsq::sim {

enum class Simd { kPortable, kAvx2, kAvx512 };

// What this processor runs, the best last. Tests try all of them.
inline std::vector<Simd> SupportedSimd() {
  std::vector<Simd> supported = {Simd::kPortable};
#if TVM_VSQ_X86
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi2")) return supported;
  supported.push_back(Simd::kAvx2);
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni")) {
    supported.push_back(Simd::kAvx512);
  }
#endif
  return supported;
}

inline Simd BestSimd() { return SupportedSimd().back(); }

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_CPU_H_
