// The four dependency queues between neighbouring engines.
#ifndef TVM_VSQ_SIM_TOKENS_H_
#define TVM_VSQ_SIM_TOKENS_H_

#include "tvm_vsq/sim/instruction.h"

namespace tvm_vsq::sim {

inline constexpr int kTokenQueueCount = 4;

// Queues are numbered by their receiver and side: load<-compute, compute<-load, compute<-store,
// store<-compute.
enum TokenQueue : int { kComputeToLoad, kLoadToCompute, kStoreToCompute, kComputeToStore };

struct TokenRoute {
  const char* from;
  const char* to;
};

inline constexpr TokenRoute kTokenRoutes[kTokenQueueCount] = {
    {"compute", "load"}, {"load", "compute"}, {"store", "compute"}, {"compute", "store"}};

// Queue indices, -1 where the bit is not set; valid for instructions that CheckProgram accepted.
struct TokenUse {
  int pops[2] = {-1, -1};
  int pushes[2] = {-1, -1};
};

inline TokenUse TokensOf(const Instruction& instruction) {
  TokenUse use;
  const Engine engine = instruction.engine();
  if (instruction.pop_prev) use.pops[0] = engine == Engine::kStore ? kComputeToStore : kLoadToCompute;
  if (instruction.pop_next) use.pops[1] = engine == Engine::kLoad ? kComputeToLoad : kStoreToCompute;
  if (instruction.push_prev) use.pushes[0] = engine == Engine::kStore ? kStoreToCompute : kComputeToLoad;
  if (instruction.push_next) use.pushes[1] = engine == Engine::kLoad ? kLoadToCompute : kComputeToStore;
  return use;
}

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_TOKENS_H_
