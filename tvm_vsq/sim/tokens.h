// The dependency queues between engines, as isa::kRoutes has them.
#ifndef TVM_VSQ_SIM_TOKENS_H_
#define TVM_VSQ_SIM_TOKENS_H_

#include "tvm_vsq/sim/instruction.h"

namespace tvm_vsq::sim {

inline constexpr int kTokenQueueCount = isa::kRouteCount;

inline const char* ProducerOf(int queue) {
  return kEngineNames[static_cast<int>(isa::kRoutes[queue].source)];
}
inline const char* ConsumerOf(int queue) { return kEngineNames[static_cast<int>(isa::kRoutes[queue].sink)]; }

// Sets of queues, as bits.
using TokenQueues = uint32_t;
static_assert(kTokenQueueCount < 32);

inline constexpr TokenQueues Bit(int queue) { return TokenQueues{1} << queue; }

// The first queue of the set, or -1.
inline int First(TokenQueues queues) { return queues == 0 ? -1 : __builtin_ctz(queues); }

// Calls visit(queue) for each queue of the set.
template <typename Visit>
void ForEachQueue(TokenQueues queues, Visit visit) {
  for (; queues != 0; queues &= queues - 1) visit(First(queues));
}

// The queues that each token bit of each engine means.
struct TokenTable {
  static constexpr int kTokenSets = 1 << isa::kTokenCount;

  TokenQueues pops[kEngineCount][kTokenSets] = {}, pushes[kEngineCount][kTokenSets] = {};

  constexpr TokenTable() {
    for (int tokens = 0; tokens < kTokenSets; ++tokens) {
      for (int queue = 0; queue < kTokenQueueCount; ++queue) {
        const isa::Route& route = isa::kRoutes[queue];
        if ((tokens & isa::BitOf(route.pop)) != 0) pops[static_cast<int>(route.sink)][tokens] |= Bit(queue);
        if ((tokens & isa::BitOf(route.push)) != 0)
          pushes[static_cast<int>(route.source)][tokens] |= Bit(queue);
      }
    }
  }
};
inline constexpr TokenTable kTokenTable;

inline TokenQueues PopsOf(const Instruction& instruction) {
  return kTokenTable.pops[static_cast<int>(instruction.engine())][instruction.tokens];
}
inline TokenQueues PushesOf(const Instruction& instruction) {
  return kTokenTable.pushes[static_cast<int>(instruction.engine())][instruction.tokens];
}

// Whether the token bit means a queue to instructions of this engine.
inline bool HasRoute(Engine engine, isa::Token token) {
  const auto index = static_cast<int>(engine);
  return (kTokenTable.pops[index][isa::BitOf(token)] | kTokenTable.pushes[index][isa::BitOf(token)]) != 0;
}

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_TOKENS_H_
