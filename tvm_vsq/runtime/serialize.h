// Artifacts as bytes, for export_library.
#ifndef TVM_VSQ_RUNTIME_SERIALIZE_H_
#define TVM_VSQ_RUNTIME_SERIALIZE_H_

#include <string>
#include <string_view>

#include "tvm_vsq/runtime/artifact.h"

namespace tvm_vsq::runtime {

// Format, of version 3 (integers are 64-bit little-endian, strings a length and their bytes, lists a count
// and their items): "VSQACCEL", version, checksum of all that follows, parameters as (name, value), metadata,
// programs.
std::string Serialize(const Artifact& artifact);

// Throws sim::Error for bytes that are no artifact: bad magic, a version other than 3 and 2, in which all
// tensors have their kind's own form, truncated, damaged, trailing bytes, text that is not UTF-8, parameters
// out of range or more than CheckLimits allows. What programs do is not checked here.
Artifact Deserialize(std::string_view bytes);

// FNV-1a, 64 bits: finds damage, proves nothing about origin.
uint64_t Checksum(std::string_view bytes);

}  // namespace tvm_vsq::runtime

#endif  // TVM_VSQ_RUNTIME_SERIALIZE_H_
