// The post-processing unit: accumulators to quantized vectors, or to wide int32.
#ifndef TVM_VSQ_SIM_PPU_H_
#define TVM_VSQ_SIM_PPU_H_

#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/params.h"
#include "tvm_vsq/sim/scratchpads.h"

namespace tvm_vsq::sim {

// y of one lane: clip32(rhu(acc * mult, 2^shift) + bias + residual), then ReLU, then the upper clip.
// `channel.shift` must be at most 62; |acc| < 2^45, |residual| < 2^61.
int32_t PostProcess(int64_t acc, const ChannelParams& channel, int64_t residual, bool relu);

// Executes the PPU instruction `program.instructions[index]`; throws Error for parameters out of range.
void ExecutePpu(const Params& params, const Program& program, size_t index, Scratchpads* pads);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_PPU_H_
