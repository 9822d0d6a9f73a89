#include "tvm_vsq/sim/instructions/ppu.h"

#include <vector>

#include "tvm_vsq/sim/overflow.h"
#include "tvm_vsq/sim/poll.h"
#include "tvm_vsq/sim/ppu_kernel.h"

namespace tvm_vsq::sim {
namespace {

void CheckChannels(const Execution& execution, const isa::Ppu& ppu) {
  const Params& params = execution.params;
  const auto lanes = static_cast<size_t>(params.output_lanes);
  const ChannelParams* channels = &execution.pads->par[ppu.par_base * lanes];
  for (size_t i = 0; i < ppu.blocks * lanes; ++i) {
    const auto at = [&] { return Concat("par entry ", ppu.par_base + i / lanes, ", lane ", i % lanes); };
    if (channels[i].shift > 62)
      execution.Fail(at(), ": shift is ", int{channels[i].shift}, ", must be at most 62");
    if (channels[i].mult >> params.multiplier_bits != 0) {
      execution.Fail(at(), ": mult is ", channels[i].mult, ", but multiplier_bits is ",
                     params.multiplier_bits);
    }
  }
}

template <typename Acc>
void PostProcessAll(const Params& params, const isa::Ppu& ppu, std::vector<Acc>* acc, Scratchpads* pads) {
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

bool Declared<isa::Ppu>::Bound(const Params&, const isa::Ppu& ppu, const MicroOpPlan*,
                               AccumulatorBounds* bounds) {
  if (ppu.wide) bounds->Set(ppu.acc_base, AccEntries(ppu), uint64_t{1} << 31);
  return true;
}

void Execute(const isa::Ppu& ppu, const Execution& execution) {
  CheckChannels(execution, ppu);
  Scratchpads* pads = execution.pads;
  if (pads->acc64.empty()) {
    PostProcessAll(execution.params, ppu, &pads->acc32, pads);
  } else {
    PostProcessAll(execution.params, ppu, &pads->acc64, pads);
  }
  CountWork(uint64_t{ppu.pixels} * ppu.blocks * static_cast<uint64_t>(execution.params.output_lanes) / 4);
}

}  // namespace tvm_vsq::sim
