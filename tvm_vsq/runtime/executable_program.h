// A program that passed every check that needs no data, with its timing.
#ifndef TVM_VSQ_RUNTIME_EXECUTABLE_PROGRAM_H_
#define TVM_VSQ_RUNTIME_EXECUTABLE_PROGRAM_H_

#include "tvm_vsq/runtime/artifact.h"
#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/prepare.h"
#include "tvm_vsq/sim/timing.h"

namespace tvm_vsq::runtime {

// Timing depends on no data, so it is simulated once, when the program is loaded.
struct ExecutableProgram {
  // Keeps a reference to `data`. Throws sim::Error, naming the program, for anything malformed, and for races
  // on scratchpads if `verify`. `prepared_bytes` is what the module's programs take so far, see sim::Prepare.
  ExecutableProgram(const sim::Params& params, const ProgramData& data, bool verify,
                    uint64_t* prepared_bytes);

  const ProgramData& data;
  sim::Program program;
  sim::Timing timing;
  sim::PreparedProgram prepared;
};

}  // namespace tvm_vsq::runtime

#endif  // TVM_VSQ_RUNTIME_EXECUTABLE_PROGRAM_H_
