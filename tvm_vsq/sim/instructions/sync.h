// SYNC: nothing but its tokens.
#ifndef TVM_VSQ_SIM_INSTRUCTIONS_SYNC_H_
#define TVM_VSQ_SIM_INSTRUCTIONS_SYNC_H_

#include "tvm_vsq/sim/declaration.h"
#include "tvm_vsq/sim/execution.h"

namespace tvm_vsq::sim {

template <>
struct Declared<isa::Sync> : Defaults<isa::Sync> {};

inline void Execute(const isa::Sync&, const Execution&) {}

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_INSTRUCTIONS_SYNC_H_
