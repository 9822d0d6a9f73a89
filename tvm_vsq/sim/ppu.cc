#include "tvm_vsq/sim/ppu.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "tvm_vsq/sim/ppu_kernel.h"
#include "tvm_vsq/sim/rounding.h"

namespace tvm_vsq::sim {
namespace {

void CheckChannels(const Params& params, const Program& program, size_t index, const Ppu& ppu,
                   const Scratchpads& pads) {
  const auto lanes = static_cast<size_t>(params.output_lanes);
  const ChannelParams* channels = &pads.par[ppu.par_base * lanes];
  for (size_t i = 0; i < ppu.blocks * lanes; ++i) {
    const auto at = [&] { return Concat("par entry ", ppu.par_base + i / lanes, ", lane ", i % lanes); };
    if (channels[i].shift > 62)
      program.FailAt(index, at(), ": shift is ", int{channels[i].shift}, ", must be at most 62");
    if (channels[i].mult >> params.multiplier_bits != 0) {
      program.FailAt(index, at(), ": mult is ", channels[i].mult, ", but multiplier_bits is ",
                     params.multiplier_bits);
    }
  }
}

template <typename Acc>
void Execute(const Params& params, const Ppu& ppu, std::vector<Acc>* acc, Scratchpads* pads) {
  static const Simd simd = BestSimd();
  const auto lanes = static_cast<size_t>(params.output_lanes), width = ppu.blocks * lanes;
  // A wide result need not be whole vectors; any other division of its lanes does as well.
  const auto vector_size = static_cast<size_t>(params.vector_size);
  const size_t size = width % vector_size == 0 ? vector_size : lanes;
  PpuOperands<Acc> operands{};
  operands.pixels = ppu.pixels;
  operands.vectors = width / size;
  operands.vector_size = static_cast<int>(size);
  operands.acc = &(*acc)[ppu.acc_base * lanes];
  operands.channels = &pads->par[ppu.par_base * lanes];
  operands.relu = ppu.relu;
  operands.wide = ppu.wide;
  if (ppu.residual) {
    operands.residual = &(ppu.res_unsigned ? pads->inp_code : pads->inp_biased)[ppu.res_base * size];
    operands.residual_scale = &pads->inp_scale[ppu.res_base];
    operands.res_bias = ppu.res_unsigned ? 0 : 1 << (params.activation_bits - 1);
    operands.res_mult = static_cast<int32_t>(ppu.res_mult);
    operands.res_shift = static_cast<int>(ppu.res_shift);
  }
  operands.format = VectorFormat(params, ppu.out_unsigned);
  if (!ppu.wide) {
    operands.out = &pads->out[ppu.out_base * size];
    operands.out_scale = &pads->out_scale[ppu.out_base];
  }
  SelectPpuKernel<Acc>(operands.vector_size, simd)(operands);
}

}  // namespace

int32_t PostProcess(int64_t acc, const ChannelParams& channel, int64_t residual, bool relu) {
  const int64_t t = RoundHalfUpShift(acc * channel.mult, channel.shift) + channel.bias + residual;
  int64_t y =
      std::clamp<int64_t>(t, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max());
  if (relu) y = std::max<int64_t>(y, 0);
  return static_cast<int32_t>(std::min<int64_t>(y, channel.clip));
}

void ExecutePpu(const Params& params, const Program& program, size_t index, Scratchpads* pads) {
  const auto& ppu = std::get<Ppu>(program.instructions[index].body);
  CheckChannels(params, program, index, ppu, *pads);
  if (pads->acc64.empty()) {
    Execute(params, ppu, &pads->acc32, pads);
  } else {
    Execute(params, ppu, &pads->acc64, pads);
  }
}

}  // namespace tvm_vsq::sim
