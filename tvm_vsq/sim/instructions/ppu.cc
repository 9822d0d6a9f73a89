#include "tvm_vsq/sim/instructions/ppu.h"

#include <algorithm>
#include <limits>
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

VectorFormat FormatOf(const Params& params, const isa::Ppu& ppu) {
  return ppu.second ? VectorFormat::OfSecond(params) : VectorFormat(params, ppu.out_unsigned);
}

// Operands of which each pixel has as many lanes in all of them: those that are missing are made zeros.
template <typename Acc>
struct Aligned {
  std::vector<Acc> acc;
  std::vector<ChannelParams> channels;
  std::vector<uint8_t> residual;
  std::vector<int32_t> residual_scale;

  // Of `operands`, whose pixels have `lanes` lanes of accumulators and `vectors` vectors.
  Aligned(const PpuOperands<Acc>& operands, size_t lanes, size_t vectors) {
    const auto size = static_cast<size_t>(operands.vector_size);
    const size_t width = operands.vectors * size, filled = std::min(width, lanes);
    acc.resize(operands.pixels * width);
    channels.assign(operands.channels, operands.channels + filled);
    channels.resize(width);
    for (size_t pixel = 0; pixel < operands.pixels; ++pixel)
      std::copy_n(operands.acc + pixel * lanes, filled, &acc[pixel * width]);
    if (operands.residual == nullptr) return;
    residual.assign(operands.pixels * width, static_cast<uint8_t>(operands.res_bias));
    residual_scale.resize(operands.pixels * operands.vectors);
    for (size_t pixel = 0; pixel < operands.pixels; ++pixel) {
      std::copy_n(operands.residual + pixel * vectors * size, std::min(filled, vectors * size),
                  &residual[pixel * width]);
      std::copy_n(operands.residual_scale + pixel * vectors, std::min(vectors, operands.vectors),
                  &residual_scale[pixel * operands.vectors]);
    }
  }
};

template <typename Acc>
void PostProcessAll(const Params& params, const isa::Ppu& ppu, std::vector<Acc>* acc, Scratchpads* pads) {
  static const Simd simd = BestSimd();
  const auto lanes = static_cast<size_t>(params.output_lanes), width = ppu.blocks * lanes;
  const auto vector_size = static_cast<size_t>(params.vector_size);
  const size_t vectors = Declared<isa::Ppu>::Vectors(params, ppu);
  // A wide result without a residual need not be whole vectors; any other division of its lanes does as well.
  const bool by_blocks = ppu.wide && !ppu.residual && width % vector_size != 0;
  const size_t size = by_blocks ? lanes : vector_size;
  PpuOperands<Acc> operands{};
  operands.pixels = ppu.pixels;
  operands.vectors = !ppu.wide ? vectors : (width + size - 1) / size;
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
  operands.format = FormatOf(params, ppu);
  if (!ppu.wide) {
    operands.out = &pads->out[ppu.out_base * size];
    operands.out_scale = &pads->out_scale[ppu.out_base];
  }
  const auto kernel = SelectPpuKernel<Acc>(operands.vector_size, simd);
  if (operands.vectors * size == width && (!ppu.residual || vectors == operands.vectors)) {
    kernel(operands);
    return;
  }
  Aligned<Acc> aligned(operands, width, vectors);
  Acc* const results = operands.acc;
  operands.acc = aligned.acc.data();
  operands.channels = aligned.channels.data();
  if (ppu.residual) {
    operands.residual = aligned.residual.data();
    operands.residual_scale = aligned.residual_scale.data();
  }
  kernel(operands);
  if (!ppu.wide) return;
  for (size_t pixel = 0; pixel < operands.pixels; ++pixel)
    std::copy_n(&aligned.acc[pixel * operands.vectors * size], width, results + pixel * width);
}

// All results of a channel side by side, then its vectors. What is quantized is numbers as the PPU gives
// them, so that the second time nothing is left to post-process.
template <typename Acc>
void TransposeAll(const Params& params, const isa::Ppu& ppu, const std::vector<Acc>& acc, Scratchpads* pads) {
  static const Simd simd = BestSimd();
  const auto lanes = static_cast<size_t>(params.output_lanes), size = static_cast<size_t>(params.vector_size);
  const size_t width = ppu.blocks * lanes, pixels = ppu.pixels;
  std::vector<Acc> wide(&acc[ppu.acc_base * lanes], &acc[ppu.acc_base * lanes] + pixels * width);
  PpuOperands<Acc> results{};
  results.pixels = pixels;
  results.vectors = ppu.blocks;
  results.vector_size = static_cast<int>(lanes);
  results.acc = wide.data();
  results.channels = &pads->par[ppu.par_base * lanes];
  results.relu = ppu.relu;
  results.wide = true;
  SelectPpuKernel<Acc>(results.vector_size, simd)(results);
  const size_t channels = Declared<isa::Ppu>::Channels(params, ppu);
  const size_t groups = Declared<isa::Ppu>::Groups(params, ppu);
  std::vector<int32_t> turned(channels * groups * size);
  for (size_t pixel = 0; pixel < pixels; ++pixel) {
    for (size_t c = 0; c < channels; ++c)
      turned[c * groups * size + pixel] = static_cast<int32_t>(wide[pixel * width + c]);
  }
  ChannelParams same;
  same.mult = 1;
  same.clip = std::numeric_limits<int32_t>::max();
  const std::vector<ChannelParams> unchanged(size, same);
  PpuOperands<int32_t> vectors{};
  vectors.pixels = channels * groups;
  vectors.vectors = 1;
  vectors.vector_size = static_cast<int>(size);
  vectors.acc = turned.data();
  vectors.channels = unchanged.data();
  vectors.format = FormatOf(params, ppu);
  vectors.out = &pads->out[ppu.out_base * size];
  vectors.out_scale = &pads->out_scale[ppu.out_base];
  SelectPpuKernel<int32_t>(vectors.vector_size, simd)(vectors);
}

template <typename Acc>
void Process(const Params& params, const isa::Ppu& ppu, std::vector<Acc>* acc, Scratchpads* pads) {
  if (ppu.transpose) return TransposeAll(params, ppu, *acc, pads);
  if (ppu.acc_skip == 0 && ppu.vector_skip == 0) return PostProcessAll(params, ppu, acc, pads);
  const uint64_t vectors = Declared<isa::Ppu>::Vectors(params, ppu);
  isa::Ppu one = ppu;
  one.pixels = 1;
  one.acc_skip = one.vector_skip = 0;
  for (uint32_t pixel = 0; pixel < ppu.pixels; ++pixel) {
    const auto moved = static_cast<uint32_t>(pixel * (vectors + ppu.vector_skip));
    one.acc_base = ppu.acc_base + pixel * (ppu.blocks + ppu.acc_skip);
    if (!ppu.wide) one.out_base = ppu.out_base + moved;
    if (ppu.residual) one.res_base = ppu.res_base + moved;
    PostProcessAll(params, one, acc, pads);
  }
}

// The kernels for accumulators of 32 bits multiply by what is not negative; that for wider ones does all.
void Run(const Params& params, const isa::Ppu& ppu, std::vector<int64_t>* acc, Scratchpads* pads) {
  Process(params, ppu, acc, pads);
}
void Run(const Params& params, const isa::Ppu& ppu, std::vector<int32_t>* acc, Scratchpads* pads) {
  const auto lanes = static_cast<size_t>(params.output_lanes);
  const ChannelParams* channels = &pads->par[ppu.par_base * lanes];
  const auto is_negative = [](const ChannelParams& channel) { return channel.negative; };
  if (!std::any_of(channels, channels + ppu.blocks * lanes, is_negative))
    return Process(params, ppu, acc, pads);
  const uint64_t pixel = uint64_t{ppu.blocks} + ppu.acc_skip;
  const auto first = acc->begin() + static_cast<ptrdiff_t>(ppu.acc_base * lanes);
  const auto last = first + static_cast<ptrdiff_t>(((ppu.pixels - 1) * pixel + ppu.blocks) * lanes);
  std::vector<int64_t> wide(first, last);
  isa::Ppu moved = ppu;
  moved.acc_base = 0;
  Process(params, moved, &wide, pads);
  if (ppu.wide)
    std::transform(wide.begin(), wide.end(), first, [](int64_t y) { return static_cast<int32_t>(y); });
}

}  // namespace

bool Declared<isa::Ppu>::Bound(const Params&, const isa::Ppu& ppu, const MicroOpPlan*,
                               AccumulatorBounds* bounds) {
  if (!ppu.wide) return true;
  EachRun(ppu, ppu.acc_base, ppu.blocks, ppu.acc_skip,
          [&](uint64_t begin, uint64_t count) { bounds->Set(begin, count, uint64_t{1} << 31); });
  return true;
}

void Execute(const isa::Ppu& ppu, const Execution& execution) {
  CheckChannels(execution, ppu);
  Scratchpads* pads = execution.pads;
  if (pads->acc64.empty()) {
    Run(execution.params, ppu, &pads->acc32, pads);
  } else {
    Run(execution.params, ppu, &pads->acc64, pads);
  }
  CountWork(uint64_t{ppu.pixels} * ppu.blocks * static_cast<uint64_t>(execution.params.output_lanes) / 4);
}

}  // namespace tvm_vsq::sim
