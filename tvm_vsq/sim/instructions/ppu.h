// PPU: accumulators to quantized vectors, or to wide int32.
#ifndef TVM_VSQ_SIM_INSTRUCTIONS_PPU_H_
#define TVM_VSQ_SIM_INSTRUCTIONS_PPU_H_

#include <algorithm>

#include "tvm_vsq/sim/declaration.h"
#include "tvm_vsq/sim/digits.h"
#include "tvm_vsq/sim/execution.h"

namespace tvm_vsq::sim {

template <>
struct Declared<isa::Ppu> : Defaults<isa::Ppu> {
  static constexpr bool kBounds = true;

  static uint64_t AccEntries(const isa::Ppu& ppu) { return uint64_t{ppu.pixels} * ppu.blocks; }

  // Of each pixel, with those that are left out. The last one may have lanes that no block fills.
  static uint64_t WholeVectors(const Params& params, const isa::Ppu& ppu) {
    const auto size = static_cast<uint64_t>(params.vector_size);
    return (ppu.blocks * static_cast<uint64_t>(params.output_lanes) + size - 1) / size;
  }
  static uint64_t Vectors(const Params& params, const isa::Ppu& ppu) {
    return WholeVectors(params, ppu) - ppu.skip_vectors;
  }

  // Of each channel, where they run along pixels; the last one may have lanes of no pixel.
  static uint64_t Groups(const Params& params, const isa::Ppu& ppu) {
    const auto size = static_cast<uint64_t>(params.vector_size);
    return (ppu.pixels + size - 1) / size;
  }
  static uint64_t Channels(const Params& params, const isa::Ppu& ppu) {
    return ppu.blocks * static_cast<uint64_t>(params.output_lanes) - ppu.skip_vectors;
  }
  // Entries of a vector of the result, and of the residual.
  static uint64_t Digits(const isa::Ppu& ppu) { return ppu.digits + 1; }
  static uint64_t ResidualDigits(const isa::Ppu& ppu) { return ppu.res_digits + 1; }

  // All that are written.
  static uint64_t Results(const Params& params, const isa::Ppu& ppu) {
    return ppu.transpose ? Channels(params, ppu) * Groups(params, ppu) : ppu.pixels * Vectors(params, ppu);
  }

  template <typename Visit>
  static void Accesses(const Params& params, const isa::Ppu& ppu, Visit visit) {
    const uint64_t entries = AccEntries(ppu);
    visit(Access{Pad::kPar, Use::kRead, "par_base", ppu.par_base, ppu.blocks, entries});
    const Use acc = ppu.wide ? Use::kAccumulate : Use::kRead;
    EachRun(ppu, ppu.acc_base, ppu.blocks, ppu.acc_skip, [&](uint64_t begin, uint64_t count) {
      visit(Access{Pad::kAcc, acc, "acc_base", begin, count, count});
    });
    if (ppu.transpose) {
      const uint64_t results = Results(params, ppu) * Digits(ppu);
      visit(Access{Pad::kOut, Use::kFill, "out_base", ppu.out_base, results, results});
      return;
    }
    const auto visit_vectors = [&](Pad pad, Use use, const char* field, uint64_t base, uint64_t digits) {
      EachRun(ppu, base, Vectors(params, ppu) * digits, ppu.vector_skip * digits,
              [&](uint64_t begin, uint64_t count) { visit(Access{pad, use, field, begin, count, count}); });
    };
    if (!ppu.wide) visit_vectors(Pad::kOut, Use::kFill, "out_base", ppu.out_base, Digits(ppu));
    if (ppu.residual) visit_vectors(Pad::kInp, Use::kRead, "res_base", ppu.res_base, ResidualDigits(ppu));
  }

  // Calls visit(begin, count) for `width` entries of each pixel, of all at once where nothing lies between.
  template <typename Visit>
  static void EachRun(const isa::Ppu& ppu, uint64_t base, uint64_t width, uint64_t skip, Visit visit) {
    if (skip == 0) return visit(base, ppu.pixels * width);
    for (uint64_t pixel = 0; pixel < ppu.pixels; ++pixel) visit(base + pixel * (width + skip), width);
  }

  template <typename Fail>
  static void Check(const Params& params, const isa::Ppu& ppu, Fail fail) {
    if (ppu.second && ppu.out_unsigned)
      fail("fields second and out_unsigned are set; a second operand is signed");
    CheckFormat(params, ppu, fail);
    if (ppu.transpose) {
      if (ppu.wide || ppu.residual)
        fail("fields transpose and ", ppu.wide ? "wide" : "residual", " are set; only one of them may be");
      if (ppu.acc_skip != 0 || ppu.vector_skip != 0)
        fail("field transpose is set, and field ", ppu.acc_skip != 0 ? "acc_skip" : "vector_skip",
             " is not 0; vectors along pixels skip nothing");
      if (ppu.skip_vectors >= params.output_lanes)
        fail("field skip_vectors is ", ppu.skip_vectors, " of the ", params.output_lanes,
             " channels of the last block");
      return;
    }
    const int64_t per_block = std::max<int64_t>(1, params.output_lanes / params.vector_size);
    if (ppu.skip_vectors >= per_block)
      fail("field skip_vectors is ", ppu.skip_vectors, " of the ", per_block, " vectors of the last block");
  }

  // That vectors are requantized to, and that of the residual.
  template <typename Fail>
  static void CheckFormat(const Params& params, const isa::Ppu& ppu, Fail fail) {
    const int64_t bits = ppu.out_bits, scale_bits = ppu.out_scale_bits;
    const int64_t form_bits = ppu.second ? params.second_bits : params.activation_bits;
    const int64_t form_scale_bits = ppu.second ? params.second_scale_bits : params.activation_scale_bits;
    const auto none = [&](const char* name, int64_t value, const char* without) {
      if (value > 0) fail("field ", name, " is ", value, ", must be 0 ", without);
    };
    CheckDigits(params, "digits", ppu.digits, form_bits, fail);
    CheckDigits(params, "res_digits", ppu.res_digits, params.activation_bits, fail);
    if (!ppu.residual) none("res_digits", ppu.res_digits, "without residual");
    if (ppu.wide) none("out_bits", bits, "with wide, which requantizes nothing");
    if (bits == 0) {
      none("digits", ppu.digits, "without out_bits");
      none("out_scale_bits", scale_bits, "without out_bits");
      return;
    }
    const int64_t low = std::max<int64_t>(kMinElementBits, ppu.digits * form_bits + 1);
    const int64_t high = std::min<int64_t>(kMaxElementBits, (ppu.digits + 1) * form_bits);
    if (bits < low || bits > high)
      fail("field out_bits is ", bits, ", must be ", low, " to ", high, " with ", ppu.digits + 1,
           " digits of ", form_bits, " bits");
    if (scale_bits > form_scale_bits)
      fail("field out_scale_bits is ", scale_bits, ", must be at most the ", form_scale_bits,
           " bits of a scale");
  }

  // Accumulator blocks that go through; vectors along pixels take as many as if their groups were whole.
  static int64_t Turns(const Params& params, const isa::Ppu& ppu) {
    const uint64_t pixels =
        ppu.transpose ? Groups(params, ppu) * static_cast<uint64_t>(params.vector_size) : ppu.pixels;
    return static_cast<int64_t>(pixels * ppu.blocks);
  }

  // Before the first vector along pixels is there, all its lanes have to be.
  static int64_t Cycles(const Params& params, const isa::Ppu& ppu) {
    return params.ppu_pipeline_cycles + (ppu.transpose ? params.vector_size : 0) + Turns(params, ppu);
  }

  // One accumulator block per cycle, hence output_lanes / vector_size vectors of out and, with a residual, of
  // inp, or a vector in as many cycles as it has blocks. Neighbouring entries lie in different banks, each of
  // which serves one entry per cycle.
  static int64_t ConflictCycles(const Params& params, const isa::Ppu& ppu) {
    const int64_t vectors = std::max<int64_t>(1, params.output_lanes / params.vector_size);
    const int64_t blocks = std::max<int64_t>(1, params.vector_size / params.output_lanes);
    const auto turns = [&](uint64_t digits, int64_t banks) {
      return (vectors * static_cast<int64_t>(digits) + banks - 1) / banks;
    };
    const int64_t reads = ppu.residual ? turns(ResidualDigits(ppu), params.inp_banks) : 1;
    const int64_t writes = ppu.wide ? 1 : turns(Digits(ppu), params.out_banks);
    const int64_t groups = ppu.transpose ? Turns(params, ppu) / blocks
                                         : int64_t{ppu.pixels} * ((ppu.blocks + blocks - 1) / blocks);
    return groups * std::max<int64_t>(0, std::max(reads, writes) - blocks);
  }

  template <typename Count>
  static void Events(const Params& params, const isa::Ppu& ppu, Count count) {
    const int64_t lanes = static_cast<int64_t>(AccEntries(ppu)) * params.output_lanes;
    count(isa::Event::kPpuLaneOps, lanes);
    const int64_t kept = static_cast<int64_t>(Results(params, ppu)) * params.vector_size;
    if (ppu.residual) count(isa::Event::kResidualLaneOps, std::min(lanes, kept));
    if (!ppu.wide) count(isa::Event::kQuantizeLaneOps, std::min(lanes, kept));
    if (ppu.transpose) count(isa::Event::kTransposeLaneOps, lanes);
  }

  static bool Bound(const Params& params, const isa::Ppu& ppu, const MicroOpPlan* plan,
                    AccumulatorBounds* bounds);
};

// Throws Error for parameters out of range.
void Execute(const isa::Ppu& ppu, const Execution& execution);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_INSTRUCTIONS_PPU_H_
