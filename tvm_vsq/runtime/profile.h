// Timing as containers that Python reads.
#ifndef TVM_VSQ_RUNTIME_PROFILE_H_
#define TVM_VSQ_RUNTIME_PROFILE_H_

#include <tvm/ffi/any.h>
#include <tvm/ffi/container/map.h>
#include <tvm/ffi/string.h>

#include <string>

#include "tvm_vsq/sim/timing.h"

namespace tvm_vsq::runtime {

// {"name", "cycles": int, "layer_end": [layer], "events": [layer][event], "engines": [fetch, load, compute,
// store] of [busy, stalled]}; events in the order of isa::Event.
tvm::ffi::Map<tvm::ffi::String, tvm::ffi::Any> ProfileOf(const std::string& name, const sim::Timing& timing);

}  // namespace tvm_vsq::runtime

#endif  // TVM_VSQ_RUNTIME_PROFILE_H_
