// Timing as containers that Python reads.
#ifndef TVM_VSQ_RUNTIME_PROFILE_H_
#define TVM_VSQ_RUNTIME_PROFILE_H_

#include <tvm/ffi/any.h>
#include <tvm/ffi/container/array.h>
#include <tvm/ffi/container/map.h>
#include <tvm/ffi/string.h>

#include <string>

#include "tvm_vsq/sim/timing.h"
#include "tvm_vsq/sim/trace.h"

namespace tvm_vsq::runtime {

// {"name", "cycles": int, "layer_end": [layer], "events": [layer][event], "busy": [layer][unit], "units":
// [unit] of [busy, stalled], "stalls": rows [layer, unit, stall, cause, cycles]}; events in the order of
// isa::Event, the rest in that of TimingNames.
tvm::ffi::Map<tvm::ffi::String, tvm::ffi::Any> ProfileOf(const std::string& name, const sim::Timing& timing);

// {"cycles", "bin_cycles": int, "times": int64 [instruction][queued, taken, start, transfer, end, complete],
// "path": int64 [step][instruction, step, begin, end], "bins": int64 [bin][event], "dram_bytes": int64 [bin],
// "alive": int64 [bin][scratchpad]}; arrays as bytes of the host's order.
tvm::ffi::Map<tvm::ffi::String, tvm::ffi::Any> TraceOf(const sim::Trace& trace);

// {"units", "stalls", "causes", "steps"}: names by number.
tvm::ffi::Map<tvm::ffi::String, tvm::ffi::Array<tvm::ffi::String>> TimingNames();

}  // namespace tvm_vsq::runtime

#endif  // TVM_VSQ_RUNTIME_PROFILE_H_
