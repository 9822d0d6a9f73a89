#include "tvm_vsq/sim/ppu.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "tvm_vsq/sim/requantize.h"
#include "tvm_vsq/sim/rounding.h"

namespace tvm_vsq::sim {
namespace {

void CheckChannels(const Params& params, const Program& program, size_t index, const Ppu& ppu,
                   const ChannelParams* channels) {
  const auto lanes = static_cast<size_t>(params.output_lanes);
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
void Execute(const Params& params, const Program& program, size_t index, std::vector<Acc>* accumulators,
             Scratchpads* pads) {
  const auto& ppu = std::get<Ppu>(program.instructions[index].body);
  const auto size = static_cast<size_t>(params.vector_size), lanes = static_cast<size_t>(params.output_lanes);
  const size_t width = ppu.blocks * lanes, vectors = width / size;
  const ChannelParams* channels = &pads->par[ppu.par_base * lanes];
  CheckChannels(params, program, index, ppu, channels);
  const VectorFormat format(params, ppu.out_unsigned);
  const std::vector<uint8_t>& codes = ppu.res_unsigned ? pads->inp_code : pads->inp_biased;
  const int64_t bias = ppu.res_unsigned ? 0 : int64_t{1} << (params.activation_bits - 1);
  std::vector<int64_t> residual(width, 0);
  std::vector<int32_t> y(width);
  for (size_t pixel = 0; pixel < ppu.pixels; ++pixel) {
    if (ppu.residual) {
      const size_t first = ppu.res_base + pixel * vectors;
      for (size_t i = 0; i < width; ++i) {
        const int64_t value = (codes[first * size + i] - bias) * pads->inp_scale[first + i / size];
        residual[i] = RoundHalfUpShift(value * ppu.res_mult, static_cast<int>(ppu.res_shift));
      }
    }
    Acc* acc = &(*accumulators)[(ppu.acc_base + pixel * ppu.blocks) * lanes];
    for (size_t i = 0; i < width; ++i) y[i] = PostProcess(acc[i], channels[i], residual[i], ppu.relu);
    if (ppu.wide) {
      std::copy(y.begin(), y.end(), acc);
      continue;
    }
    for (size_t j = 0; j < vectors; ++j) {
      const size_t entry = ppu.out_base + pixel * vectors + j;
      pads->out_scale[entry] =
          Requantize(format, &y[j * size], static_cast<int>(size), &pads->out[entry * size]);
    }
  }
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
  if (pads->acc64.empty()) {
    Execute(params, program, index, &pads->acc32, pads);
  } else {
    Execute(params, program, index, &pads->acc64, pads);
  }
}

}  // namespace tvm_vsq::sim
