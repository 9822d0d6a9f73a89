#include "tvm_vsq/sim/instructions/ppu.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include "tvm_vsq/sim/digits.h"
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

// Vectors of the result as a kernel leaves them: in out, or, where they are several entries, in a place of
// their own before they are split.
class Results {
 public:
  Results(const Params& params, const isa::Ppu& ppu, size_t vectors, Scratchpads* pads)
      : params_(params), ppu_(ppu), size_(static_cast<size_t>(params.vector_size)), pads_(pads) {
    if (ppu.digits == 0) return;
    elements_.resize(vectors * size_);
    scales_.resize(vectors);
  }

  template <typename Acc>
  void SetIn(PpuOperands<Acc>* operands) {
    const bool split = ppu_.digits > 0;
    operands->format = VectorFormat::Of(params_, ppu_);
    operands->out = split ? elements_.data() : &pads_->out[ppu_.out_base * size_];
    operands->out_scale = split ? scales_.data() : &pads_->out_scale[ppu_.out_base];
  }

  // When all are there.
  void Split() const {
    const size_t digits = ppu_.digits + 1;
    const auto bits = static_cast<int>(ppu_.second ? params_.second_bits : params_.activation_bits);
    size_t entry = ppu_.out_base;
    for (size_t n = 0; n < scales_.size(); ++n, entry += digits) {
      SplitDigits(&elements_[n * size_], size_, digits, bits, ppu_.out_unsigned,
                  static_cast<int>(params_.activation_bits), &pads_->out[entry * size_]);
      std::fill_n(&pads_->out_scale[entry], digits, scales_[n]);
    }
  }

 private:
  const Params& params_;
  const isa::Ppu& ppu_;
  const size_t size_;
  Scratchpads* const pads_;
  std::vector<uint8_t> elements_;
  std::vector<int32_t> scales_;
};

// Vectors of the residual, one behind the other: those of inp, or, where they are several entries, joined
// ones.
class Residual {
 public:
  Residual(const Execution& execution, const isa::Ppu& ppu, size_t vectors)
      : pads_(*execution.pads), ppu_(ppu), size_(static_cast<size_t>(execution.params.vector_size)) {
    const size_t digits = Declared<isa::Ppu>::ResidualDigits(ppu);
    bias_ = InpBias(execution.params, ppu.res_unsigned, digits);
    if (digits == 1) return;
    joined_.resize(vectors * size_);
    for (size_t n = 0; n < vectors; ++n) {
      const size_t entry = ppu.res_base + n * digits;
      JoinVector(execution, ppu.res_unsigned, digits, entry, &joined_[n * size_]);
      scales_.push_back(pads_.inp_scale[entry]);
    }
  }

  template <typename Acc>
  void SetIn(PpuOperands<Acc>* operands) const {
    const std::vector<uint8_t>& codes = ppu_.res_unsigned ? pads_.inp_code : pads_.inp_biased;
    operands->residual = joined_.empty() ? &codes[ppu_.res_base * size_] : joined_.data();
    operands->residual_scale = joined_.empty() ? &pads_.inp_scale[ppu_.res_base] : scales_.data();
    operands->res_bias = bias_;
    operands->res_mult = static_cast<int32_t>(ppu_.res_mult);
    operands->res_shift = static_cast<int>(ppu_.res_shift);
  }

 private:
  const Scratchpads& pads_;
  const isa::Ppu& ppu_;
  const size_t size_;
  int32_t bias_;
  std::vector<uint8_t> joined_;
  std::vector<int32_t> scales_;
};

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
void PostProcessAll(const Execution& execution, const isa::Ppu& ppu, std::vector<Acc>* acc) {
  const Params& params = execution.params;
  Scratchpads* const pads = execution.pads;
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
  std::optional<Residual> residual;
  if (ppu.residual) residual.emplace(execution, ppu, ppu.pixels * vectors).SetIn(&operands);
  std::optional<Results> vectors_of_out;
  if (!ppu.wide) vectors_of_out.emplace(params, ppu, ppu.pixels * vectors, pads).SetIn(&operands);
  const auto kernel = SelectPpuKernel<Acc>(operands.vector_size, simd);
  if (operands.vectors * size == width && (!ppu.residual || vectors == operands.vectors)) {
    kernel(operands);
    if (vectors_of_out) vectors_of_out->Split();
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
  if (vectors_of_out) return vectors_of_out->Split();
  for (size_t pixel = 0; pixel < operands.pixels; ++pixel)
    std::copy_n(&aligned.acc[pixel * operands.vectors * size], width, results + pixel * width);
}

// All results of a channel side by side, then its vectors. What is quantized is numbers as the PPU gives
// them, so that the second time nothing is left to post-process.
template <typename Acc>
void TransposeAll(const Execution& execution, const isa::Ppu& ppu, const std::vector<Acc>& acc) {
  const Params& params = execution.params;
  Scratchpads* const pads = execution.pads;
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
  Results turned_vectors(params, ppu, vectors.pixels, pads);
  turned_vectors.SetIn(&vectors);
  SelectPpuKernel<int32_t>(vectors.vector_size, simd)(vectors);
  turned_vectors.Split();
}

template <typename Acc>
void Process(const Execution& execution, const isa::Ppu& ppu, std::vector<Acc>* acc) {
  if (ppu.transpose) return TransposeAll(execution, ppu, *acc);
  if (ppu.acc_skip == 0 && ppu.vector_skip == 0) return PostProcessAll(execution, ppu, acc);
  const uint64_t vectors = Declared<isa::Ppu>::Vectors(execution.params, ppu);
  isa::Ppu one = ppu;
  one.pixels = 1;
  one.acc_skip = one.vector_skip = 0;
  for (uint32_t pixel = 0; pixel < ppu.pixels; ++pixel) {
    const uint64_t moved = pixel * (vectors + ppu.vector_skip);
    const auto place = [&](uint64_t digits) { return static_cast<uint32_t>(moved * digits); };
    one.acc_base = ppu.acc_base + pixel * (ppu.blocks + ppu.acc_skip);
    if (!ppu.wide) one.out_base = ppu.out_base + place(Declared<isa::Ppu>::Digits(ppu));
    if (ppu.residual) one.res_base = ppu.res_base + place(Declared<isa::Ppu>::ResidualDigits(ppu));
    PostProcessAll(execution, one, acc);
  }
}

// The kernels for accumulators of 32 bits multiply by what is not negative; that for wider ones does all.
void Run(const Execution& execution, const isa::Ppu& ppu, std::vector<int64_t>* acc) {
  Process(execution, ppu, acc);
}
void Run(const Execution& execution, const isa::Ppu& ppu, std::vector<int32_t>* acc) {
  const auto lanes = static_cast<size_t>(execution.params.output_lanes);
  const ChannelParams* channels = &execution.pads->par[ppu.par_base * lanes];
  const auto is_negative = [](const ChannelParams& channel) { return channel.negative; };
  if (!std::any_of(channels, channels + ppu.blocks * lanes, is_negative)) return Process(execution, ppu, acc);
  const uint64_t pixel = uint64_t{ppu.blocks} + ppu.acc_skip;
  const auto first = acc->begin() + static_cast<ptrdiff_t>(ppu.acc_base * lanes);
  const auto last = first + static_cast<ptrdiff_t>(((ppu.pixels - 1) * pixel + ppu.blocks) * lanes);
  std::vector<int64_t> wide(first, last);
  isa::Ppu moved = ppu;
  moved.acc_base = 0;
  Process(execution, moved, &wide);
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
    Run(execution, ppu, &pads->acc32);
  } else {
    Run(execution, ppu, &pads->acc64);
  }
  CountWork(uint64_t{ppu.pixels} * ppu.blocks * static_cast<uint64_t>(execution.params.output_lanes) / 4);
}

}  // namespace tvm_vsq::sim
