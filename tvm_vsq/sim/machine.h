// The functional simulator: what a program computes.
#ifndef TVM_VSQ_SIM_MACHINE_H_
#define TVM_VSQ_SIM_MACHINE_H_

#include <cstdint>
#include <vector>

#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/operands/recorder.h"
#include "tvm_vsq/sim/params.h"
#include "tvm_vsq/sim/prepare.h"
#include "tvm_vsq/sim/record.h"
#include "tvm_vsq/sim/scratchpads.h"

namespace tvm_vsq::sim {

// Executes instructions in program order. Every program whose tokens order its conflicting accesses computes
// the same in every legal interleaving, and CheckOrder and Prepare refuse all others; so order costs no
// generality.
class Machine {
 public:
  explicit Machine(const Params& params);

  // `dram` has program.dram_bytes bytes and is read and written in place. Up to `threads` threads work on an
  // instruction. Throws Error where an accumulator overflows or PPU parameters are out of range. Needs a
  // program that SimulateTiming and CheckOrder accepted, and what Prepare made of it and of the image that
  // `dram` began with.
  void Run(const Program& program, const PreparedProgram& prepared, int threads, std::vector<uint8_t>* dram);

  // The same, until `recorder` has all that it wants of the program.
  void Record(const Program& program, const PreparedProgram& prepared, int threads,
              std::vector<uint8_t>* dram, OperandRecorder* recorder);

 private:
  Execution Prepare(const Program& program, const PreparedProgram& prepared, size_t index, int threads,
                    std::vector<uint8_t>* dram);

  const Params params_;
  const RecordCodec codec_;
  Scratchpads pads_;
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_MACHINE_H_
