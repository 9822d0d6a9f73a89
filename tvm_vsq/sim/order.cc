#include "tvm_vsq/sim/order.h"

#include <algorithm>

#include "tvm_vsq/sim/declarations.h"
#include "tvm_vsq/sim/dram_order.h"
#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::sim {

void Order::Begin(size_t index) {
  const Instruction& instruction = program_.instructions[index];
  current_ = static_cast<size_t>(instruction.engine());
  ForEachQueue(PopsOf(instruction), [&](int queue) {
    auto& tokens = tokens_[static_cast<size_t>(queue)];
    if (tokens.empty()) {
      program_.FailAt(index, "pops a token from ", ProducerOf(queue), " that no earlier instruction pushes");
    }
    Clock& clock = clock_[current_];
    for (size_t engine = 0; engine < kEngineCount; ++engine) {
      clock[engine] = std::max(clock[engine], tokens.front()[engine]);
    }
    tokens.pop_front();
  });
}

void Order::End(size_t index) {
  clock_[current_][current_] = index + 1;
  ForEachQueue(PushesOf(program_.instructions[index]),
               [&](int queue) { tokens_[static_cast<size_t>(queue)].push_back(clock_[current_]); });
}

void CheckOrder(const Params& params, const Program& program) {
  Order order(program);
  DramOrder dram(params, program);
  size_t last[kEngineCount] = {};  // index + 1
  for (size_t i = 0; i < program.instructions.size(); ++i) {
    const Instruction& instruction = program.instructions[i];
    CountWork(8);
    order.Begin(i);
    if (const std::optional<Transfer> transfer = TransferOf(instruction)) dram.Visit(order, i, *transfer);
    if (EndsProgram(instruction)) {
      for (size_t engine = 0; engine < kEngineCount; ++engine) {
        const size_t end = last[engine];
        if (order.CompleteBefore(static_cast<Engine>(engine)) >= end) continue;
        program.FailAt(i, "no token makes ", instruction.info().name, " wait for ", program.Where(end - 1));
      }
    }
    last[static_cast<size_t>(instruction.engine())] = i + 1;
    order.End(i);
  }
}

}  // namespace tvm_vsq::sim
