// Why engines do not work: what each waits for, and what that in turn comes from.
#ifndef TVM_VSQ_SIM_STALLS_H_
#define TVM_VSQ_SIM_STALLS_H_

#include <array>
#include <cstdint>

namespace tvm_vsq::sim {

// fetch and the three engines.
inline constexpr int kUnitCount = 4;
inline constexpr const char* kUnitNames[kUnitCount] = {"fetch", "load", "compute", "store"};

// What a unit waits for. The three of a kind are in the order load, compute, store.
enum class Stall : uint8_t {
  kTokenFromLoad,
  kTokenFromCompute,
  kTokenFromStore,
  kRoomForTokenToLoad,
  kRoomForTokenToCompute,
  kRoomForTokenToStore,
  kRoomInQueueOfLoad,  // fetch only, as the next two
  kRoomInQueueOfCompute,
  kRoomInQueueOfStore,
  kInstruction,  // none has been fetched
  kDramData,     // its transfer: bursts of the other units in between; for fetch: its bytes
  kDramRow,
  kBanks,
  kFinished,
};
inline constexpr int kStallCount = 14;
inline constexpr const char* kStallNames[kStallCount] = {"token from load",
                                                         "token from compute",
                                                         "token from store",
                                                         "room for token to load",
                                                         "room for token to compute",
                                                         "room for token to store",
                                                         "room in queue of load",
                                                         "room in queue of compute",
                                                         "room in queue of store",
                                                         "instruction",
                                                         "DRAM data",
                                                         "DRAM row",
                                                         "scratchpad banks",
                                                         "finished"};

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
