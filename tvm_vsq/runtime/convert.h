// Containers from Python to an Artifact.
#ifndef TVM_VSQ_RUNTIME_CONVERT_H_
#define TVM_VSQ_RUNTIME_CONVERT_H_

#include <tvm/ffi/any.h>
#include <tvm/ffi/container/map.h>
#include <tvm/ffi/string.h>

#include "tvm_vsq/runtime/artifact.h"
#include "tvm_vsq/sim/params.h"

namespace tvm_vsq::runtime {

sim::Params ConvertParams(const tvm::ffi::Map<tvm::ffi::String, int64_t>& params);

// Keys: name, instructions, layer_ids, layer_names, image, dram_bytes, inputs, outputs (docs/simulator.md).
// Throws sim::Error for a key that is missing or of another type.
ProgramData ConvertProgram(const tvm::ffi::Map<tvm::ffi::String, tvm::ffi::Any>& program);

}  // namespace tvm_vsq::runtime

#endif  // TVM_VSQ_RUNTIME_CONVERT_H_
