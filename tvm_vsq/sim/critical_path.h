// The chain of instructions and waits that decides when a program ends.
#ifndef TVM_VSQ_SIM_CRITICAL_PATH_H_
#define TVM_VSQ_SIM_CRITICAL_PATH_H_

#include <cstdint>
#include <vector>

#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/params.h"
#include "tvm_vsq/sim/timing.h"

namespace tvm_vsq::sim {

enum class Step : uint8_t { kFetch, kSetup, kTransfer, kLatency, kCompute };
inline constexpr int kStepCount = 5;
inline constexpr const char* kStepNames[kStepCount] = {"fetch", "DMA setup and rows", "DRAM transfer",
                                                       "DRAM latency", "compute"};

// From cycle `begin` to `end` the program could go on no earlier because `instruction` did this.
struct PathStep {
  size_t instruction = 0;
  Step step = Step::kFetch;
  int64_t begin = 0, end = 0;
};

// In time order, without gaps from 0 to the last completion. `times` is what SimulateTiming recorded. Where
// several things end in the same cycle, tokens come before the engine's own order and that before fetch.
std::vector<PathStep> CriticalPath(const Params& params, const Program& program,
                                   const std::vector<InstructionTimes>& times);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_CRITICAL_PATH_H_
