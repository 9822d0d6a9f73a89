// What an artifact may ask of the host beyond the limits of its programs (tvm_vsq/sim/limits.h).
#ifndef TVM_VSQ_RUNTIME_LIMITS_H_
#define TVM_VSQ_RUNTIME_LIMITS_H_

#include <cstdint>
#include <string_view>

#include "tvm_vsq/runtime/artifact.h"

namespace tvm_vsq::runtime {

inline constexpr uint64_t kMaxPrograms = uint64_t{1} << 12;
inline constexpr uint64_t kMaxNameBytes = uint64_t{1} << 10;
inline constexpr uint64_t kMaxMetadataBytes = uint64_t{1} << 26;
// DRAM of all programs behind their images: what runs allocate, and keep for the next, although the file does
// not hold it.
inline constexpr int64_t kMaxWorkspaceBytes = int64_t{1} << 29;

// Throws sim::Error, naming the program and the limit. All programs together must also keep
// sim::kMaxLayers.
void CheckLimits(const Artifact& artifact);

// Python reads names and metadata as UTF-8.
bool IsUtf8(std::string_view text);

}  // namespace tvm_vsq::runtime

#endif  // TVM_VSQ_RUNTIME_LIMITS_H_
