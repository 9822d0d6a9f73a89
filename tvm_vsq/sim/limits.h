// What a program may ask of the host that simulates it, so that a small file cannot take gigabytes of memory.
// Each limit is far above what real networks need (docs/robustness.md).
#ifndef TVM_VSQ_SIM_LIMITS_H_
#define TVM_VSQ_SIM_LIMITS_H_

#include <cstdint>

namespace tvm_vsq::sim {

inline constexpr uint64_t kMaxInstructions = uint64_t{1} << 22;  // of a program
inline constexpr uint64_t kMaxLayers = uint64_t{1} << 14;        // of all programs together
// Of all scratchpads together: vector elements, accumulators, lanes of parameters and micro-ops.
inline constexpr int64_t kMaxScratchpadElements = int64_t{1} << 25;
// Separate ranges of DRAM that the STOREs and inputs of a program write.
inline constexpr size_t kMaxWrittenRanges = size_t{1} << 20;
// Of what is kept beside the instructions of all programs: plans of the GEMM instructions that differ, and
// ranges of DRAM that are written.
inline constexpr uint64_t kMaxPreparedBytes = uint64_t{512} << 20;

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_LIMITS_H_
