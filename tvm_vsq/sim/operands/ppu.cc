#include <algorithm>
#include <vector>

#include "tvm_vsq/sim/instructions/ppu.h"
#include "tvm_vsq/sim/operands/lane.h"
#include "tvm_vsq/sim/operands/recorder.h"
#include "tvm_vsq/sim/poll.h"
#include "tvm_vsq/sim/ppu.h"
#include "tvm_vsq/sim/requantize.h"
#include "tvm_vsq/sim/rounding.h"

namespace tvm_vsq::sim {
namespace {

// An instruction's pixels, blocks and lanes.
class Work {
 public:
  Work(const isa::Ppu& ppu, const Execution& execution)
      : ppu(ppu),
        execution(execution),
        size(static_cast<size_t>(execution.params.vector_size)),
        lanes(static_cast<size_t>(execution.params.output_lanes)),
        vectors(Declared<isa::Ppu>::Vectors(execution.params, ppu)),
        y_(ppu.pixels * width()) {}

  // Lanes of a pixel, those included that no block fills.
  size_t width() const { return std::max(vectors * size, ppu.blocks * lanes); }

  // Of the residual, of that lane of the pixel; lanes beyond its vectors have none.
  int64_t Element(size_t pixel, size_t channel) const {
    if (!ppu.residual || channel >= vectors * size) return 0;
    return InpElement(execution, ppu.res_unsigned, ppu.res_base + pixel * (vectors + ppu.vector_skip),
                      channel);
  }
  int64_t Scale(size_t pixel, size_t vector) const {
    if (!ppu.residual || vector >= vectors) return 0;
    return execution.pads->inp_scale[ppu.res_base + pixel * (vectors + ppu.vector_skip) + vector];
  }
  const ChannelParams& Channel(size_t channel) const {
    return execution.pads->par[ppu.par_base * lanes + channel];
  }
  int64_t Acc(size_t pixel, size_t block, size_t lane) const {
    return Accumulator(execution, ppu.acc_base + pixel * (ppu.blocks + ppu.acc_skip) + block, lane);
  }
  int32_t& Y(size_t pixel, size_t channel) { return y_[pixel * width() + channel]; }

  void ComputeY(size_t pixel, size_t block, size_t lane) {
    const size_t channel = block * lanes + lane;
    const int64_t value = Element(pixel, channel) * Scale(pixel, channel / size);
    const int64_t residual = RoundHalfUpShift(value * ppu.res_mult, static_cast<int>(ppu.res_shift));
    const ChannelParams& params = Channel(channel);
    if (params.shift > 62) return;  // the instruction refuses it
    Y(pixel, channel) = PostProcess(Acc(pixel, block, lane), params, ppu.residual ? residual : 0, ppu.relu);
  }

  const isa::Ppu ppu;
  const Execution& execution;
  const size_t size, lanes, vectors;

 private:
  std::vector<int32_t> y_;  // [pixel][width]
};

void PutOperands(const Work& work, size_t pixel, size_t block, OperandRows* rows) {
  const isa::Ppu& ppu = work.ppu;
  for (size_t lane = 0; lane < work.lanes; ++lane) {
    const size_t channel = block * work.lanes + lane;
    const ChannelParams& params = work.Channel(channel);
    rows->Put("acc", work.Acc(pixel, block, lane));
    for (const int64_t number : {int64_t{params.mult}, int64_t{params.shift} | int64_t{params.negative} << 7,
                                 int64_t{params.bias}, int64_t{params.clip}})
      rows->Put("par", number);
    rows->Put("res_elements", work.Element(pixel, channel));
  }
  for (size_t lane = 0; lane < work.lanes; lane += work.size)
    rows->Put("res_scales", work.Scale(pixel, (block * work.lanes + lane) / work.size));
  rows->Put("relu", ppu.relu);
  rows->Put("wide", ppu.wide);
  rows->Put("residual", ppu.residual);
  rows->Put("res_unsigned", ppu.res_unsigned);
  rows->Put("res_mult", ppu.res_mult);
  rows->Put("res_shift", ppu.res_shift);
  rows->Put("out_unsigned", ppu.out_unsigned);
  rows->Put("first", block * work.lanes % work.size == 0);
  rows->Put("last", (block + 1) * work.lanes % work.size == 0 || block + 1 == ppu.blocks);
  rows->Put("instruction", static_cast<int64_t>(work.execution.index));
}

// Vectors that are not stored are 0.
void PutResults(Work* work, size_t pixel, size_t block, OperandRows* rows) {
  const isa::Ppu& ppu = work->ppu;
  const Scratchpads& pads = *work->execution.pads;
  const int64_t sign = ppu.out_unsigned ? 0 : int64_t{1} << (work->execution.params.activation_bits - 1);
  for (size_t lane = 0; lane < work->lanes; ++lane) {
    const size_t channel = block * work->lanes + lane;
    const bool stored = !ppu.wide && channel < work->vectors * work->size;
    const size_t vector = ppu.out_base + pixel * (work->vectors + ppu.vector_skip) + channel / work->size;
    const int64_t code = stored ? pads.out[vector * work->size + channel % work->size] : 0;
    rows->Put("y", work->Y(pixel, channel));
    rows->Put("out_elements", (code ^ sign) - sign);
    if (lane % work->size != 0) continue;
    rows->Put("out_scales", stored ? pads.out_scale[vector] : 0);
    rows->Put("stored", stored);
  }
}

// Whether the pixel became what its y say.
bool IsResult(Work* work, size_t pixel) {
  if (work->ppu.wide) {
    for (size_t channel = 0; channel < work->ppu.blocks * work->lanes; ++channel) {
      if (work->Acc(pixel, channel / work->lanes, channel % work->lanes) != work->Y(pixel, channel))
        return false;
    }
    return true;
  }
  const VectorFormat format = VectorFormat::Of(work->execution.params, work->ppu);
  const Scratchpads& pads = *work->execution.pads;
  std::vector<uint8_t> codes(work->size);
  for (size_t v = 0; v < work->vectors; ++v) {
    const size_t entry = work->ppu.out_base + pixel * (work->vectors + work->ppu.vector_skip) + v;
    const int32_t scale =
        Requantize(format, &work->Y(pixel, v * work->size), static_cast<int>(work->size), codes.data());
    if (scale != pads.out_scale[entry]) return false;
    if (!std::equal(codes.begin(), codes.end(), &pads.out[entry * work->size])) return false;
  }
  return true;
}

}  // namespace

RecordResults RecordOperands(const isa::Ppu& ppu, const Execution& execution, OperandRows* rows) {
  const OperandRows::Range range = rows->Pass(Declared<isa::Ppu>::AccEntries(ppu));
  if (range.empty()) return {};
  if (ppu.transpose) execution.Fail("vectors along pixels are not recorded: no block of the RTL makes them");
  Work work(ppu, execution);
  for (size_t pixel = 0; pixel < ppu.pixels; ++pixel) {
    for (size_t block = 0; block < ppu.blocks; ++block) {
      CountWork(work.lanes);
      for (size_t lane = 0; lane < work.lanes; ++lane) work.ComputeY(pixel, block, lane);
      if (range.Holds(pixel * ppu.blocks + block)) PutOperands(work, pixel, block, rows);
    }
  }
  return [work, range, rows]() mutable {
    const isa::Ppu& done = work.ppu;
    for (size_t pixel = 0; pixel < done.pixels; ++pixel) {
      CountWork(work.width());
      if (!IsResult(&work, pixel))
        work.execution.Fail("pixel ", pixel, " became something else than its operands give");
      for (size_t block = 0; block < done.blocks; ++block) {
        if (range.Holds(pixel * done.blocks + block)) PutResults(&work, pixel, block, rows);
      }
    }
  };
}

}  // namespace tvm_vsq::sim
