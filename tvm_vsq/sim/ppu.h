// The arithmetic of the post-processing unit.
#ifndef TVM_VSQ_SIM_PPU_H_
#define TVM_VSQ_SIM_PPU_H_

#include <cstdint>

#include "tvm_vsq/sim/scratchpads.h"

namespace tvm_vsq::sim {

// y of one lane: clip32(rhu(acc * mult, 2^shift) + bias + residual), then ReLU, then the upper clip.
// `channel.shift` must be at most 62; |acc| < 2^45, |residual| < 2^61.
int32_t PostProcess(int64_t acc, const ChannelParams& channel, int64_t residual, bool relu);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_PPU_H_
