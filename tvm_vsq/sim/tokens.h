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
  Engine from, to;
};

inline constexpr TokenRoute kTokenRoutes[kTokenQueueCount] = {{Engine::kCompute, Engine::kLoad},
                                                              {Engine::kLoad, Engine::kCompute},
                                                              {Engine::kStore, Engine::kCompute},
                                                              {Engine::kCompute, Engine::kStore}};

inline const char* ProducerOf(int queue) { return kEngineNames[static_cast<int>(kTokenRoutes[queue].from)]; }
inline const char* ConsumerOf(int queue) { return kEngineNames[static_cast<int>(kTokenRoutes[queue].to)]; }

// Sets of queues, as bits; valid for instructions that CheckProgram accepted.
using TokenQueues = uint8_t;

inline TokenQueues Bit(int queue) { return static_cast<TokenQueues>(1 << queue); }

// The first queue of the set, or -1.
inline int First(TokenQueues queues) {
  for (int queue = 0; queue < kTokenQueueCount; ++queue) {
    if ((queues & Bit(queue)) != 0) return queue;
  }
  return -1;
}

inline TokenQueues PopsOf(const Instruction& instruction) {
  const Engine engine = instruction.engine();
  int queues = 0;
  if (instruction.pop_prev) queues |= Bit(engine == Engine::kStore ? kComputeToStore : kLoadToCompute);
  if (instruction.pop_next) queues |= Bit(engine == Engine::kLoad ? kComputeToLoad : kStoreToCompute);
  return static_cast<TokenQueues>(queues);
}

inline TokenQueues PushesOf(const Instruction& instruction) {
  const Engine engine = instruction.engine();
  int queues = 0;
  if (instruction.push_prev) queues |= Bit(engine == Engine::kStore ? kStoreToCompute : kComputeToLoad);
  if (instruction.push_next) queues |= Bit(engine == Engine::kLoad ? kLoadToCompute : kComputeToStore);
  return static_cast<TokenQueues>(queues);
}

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_TOKENS_H_
