// The functional simulator: what a program computes.
#ifndef TVM_VSQ_SIM_MACHINE_H_
#define TVM_VSQ_SIM_MACHINE_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "tvm_vsq/sim/gemm.h"
#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/order.h"
#include "tvm_vsq/sim/params.h"
#include "tvm_vsq/sim/record.h"
#include "tvm_vsq/sim/scratchpads.h"
#include "tvm_vsq/sim/shadow.h"

namespace tvm_vsq::sim {

// Executes instructions in program order. Every program whose tokens order its conflicting accesses computes
// the same in every legal interleaving, and Shadow and CheckOrder refuse all others; so order costs no
// generality.
class Machine {
 public:
  explicit Machine(const Params& params);

  // `dram` has program.dram_bytes bytes and is read and written in place. `poll` is called every few
  // milliseconds; what it throws ends the run. Throws Error where the program reads unwritten entries, races,
  // indexes outside a scratchpad or overflows an accumulator. Needs a program that SimulateTiming and
  // CheckOrder accepted.
  void Run(const Program& program, std::vector<uint8_t>* dram, const std::function<void()>& poll);

 private:
  void Execute(const Program& program, size_t index, const Order& order, std::vector<uint8_t>* dram,
               Shadow* shadow);
  void AddWork(uint64_t work);

  const Params params_;
  const RecordCodec codec_;
  const GemmUnit gemm_;
  Scratchpads pads_;
  std::function<void()> poll_;
  uint64_t work_ = 0;
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_MACHINE_H_
