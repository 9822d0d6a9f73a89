// What can be refused by looking at instructions alone, before anything runs.
#ifndef TVM_VSQ_SIM_CHECK_H_
#define TVM_VSQ_SIM_CHECK_H_

#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/params.h"

namespace tvm_vsq::sim {

// Throws Error unless there is exactly one FINISH, at the end, every token bit names a queue of its
// engine, and every index and address outside micro-ops stays inside its memory.
void CheckProgram(const Params& params, const Program& program);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_CHECK_H_
