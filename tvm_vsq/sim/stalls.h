// Why engines do not work: what each waits for, and what that in turn comes from.
#ifndef TVM_VSQ_SIM_STALLS_H_
#define TVM_VSQ_SIM_STALLS_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tvm_vsq/isa/isa.h"

namespace tvm_vsq::sim {

using isa::kUnitCount;
using isa::kUnitNames;

// What a unit waits for: a token from an engine, room for one to an engine, or, fetch only, room in the
// command queue of an engine, each of them kEngineCount in a row; then what names no engine.
enum class Stall : uint8_t {
  kInstruction = 3 * isa::kEngineCount,  // none has been fetched
  kDramData,  // its transfer: bursts of the other units in between; for fetch: its bytes
  kDramRow,
  kBanks,
  kFinished,
};
inline constexpr int kStallCount = static_cast<int>(Stall::kFinished) + 1;

constexpr Stall TokenFrom(isa::Engine engine) { return static_cast<Stall>(engine); }
constexpr Stall RoomForTokenTo(isa::Engine engine) {
  return static_cast<Stall>(isa::kEngineCount + static_cast<int>(engine));
}
constexpr Stall RoomInQueueOf(isa::Engine engine) {
  return static_cast<Stall>(2 * isa::kEngineCount + static_cast<int>(engine));
}

// By number.
inline std::vector<std::string> StallNames() {
  std::vector<std::string> names;
  for (const char* kind : {"token from ", "room for token to ", "room in queue of "}) {
    for (const char* engine : isa::kEngineNames) names.push_back(std::string(kind) + engine);
  }
  for (const char* name : {"instruction", "DRAM data", "DRAM row", "scratchpad banks", "finished"})
    names.emplace_back(name);
  return names;
}

// Where the chain of waiting ends: what is going on meanwhile.
enum class Cause : uint8_t {
  kCompute,
  kDmaSetup,
  kDramRow,
  kDramBandwidth,
  kDramLatency,
  kBanks,
  kFetch,
  kFinished,
};
inline constexpr int kCauseCount = 8;
inline constexpr const char* kCauseNames[kCauseCount] = {"compute",        "DMA setup",    "DRAM row",
                                                         "DRAM bandwidth", "DRAM latency", "scratchpad banks",
                                                         "fetch",          "finished"};

using StallCycles = std::array<std::array<int64_t, kCauseCount>, kStallCount>;

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_STALLS_H_
