#include "tvm_vsq/runtime/profile.h"

#include <tvm/ffi/container/array.h>

namespace tvm_vsq::runtime {

namespace ffi = tvm::ffi;

ffi::Map<ffi::String, ffi::Any> ProfileOf(const std::string& name, const sim::Timing& timing) {
  ffi::Array<ffi::Array<int64_t>> events, engines;
  for (const sim::EventCounts& counts : timing.events)
    events.push_back(ffi::Array<int64_t>(counts.begin(), counts.end()));
  for (const sim::Activity& activity : timing.engines) engines.push_back({activity.busy, activity.stalled});
  return {{"name", ffi::String(name)},
          {"cycles", timing.cycles},
          {"layer_end", ffi::Array<int64_t>(timing.layer_end.begin(), timing.layer_end.end())},
          {"events", events},
          {"engines", engines}};
}

}  // namespace tvm_vsq::runtime
