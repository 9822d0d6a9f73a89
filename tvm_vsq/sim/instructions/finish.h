// FINISH: the end of a program.
#ifndef TVM_VSQ_SIM_INSTRUCTIONS_FINISH_H_
#define TVM_VSQ_SIM_INSTRUCTIONS_FINISH_H_

#include "tvm_vsq/sim/declaration.h"
#include "tvm_vsq/sim/execution.h"

namespace tvm_vsq::sim {

template <>
struct Declared<isa::Finish> : Defaults<isa::Finish> {
  static constexpr bool kEndsProgram = true;
};

inline void Execute(const isa::Finish&, const Execution&) {}

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_INSTRUCTIONS_FINISH_H_
