// PPU: accumulators to quantized vectors, or to wide int32.
#ifndef TVM_VSQ_SIM_INSTRUCTIONS_PPU_H_
#define TVM_VSQ_SIM_INSTRUCTIONS_PPU_H_

#include <algorithm>

#include "tvm_vsq/sim/declaration.h"
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
      const uint64_t results = Results(params, ppu);
      visit(Access{Pad::kOut, Use::kFill, "out_base", ppu.out_base, results, results});
      return;
    }
    const auto visit_vectors = [&](Pad pad, Use use, const char* field, uint64_t base) {
      EachRun(ppu, base, Vectors(params, ppu), ppu.vector_skip,
              [&](uint64_t begin, uint64_t count) { visit(Access{pad, use, field, begin, count, count}); });
    };
    if (!ppu.wide) visit_vectors(Pad::kOut, Use::kFill, "out_base", ppu.out_base);
    if (ppu.residual) visit_vectors(Pad::kInp, Use::kRead, "res_base", ppu.res_base);
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
  // inp. Neighbouring entries lie in different banks, each of which serves one entry per cycle.
  static int64_t ConflictCycles(const Params& params, const isa::Ppu& ppu) {
    const int64_t vectors = std::max<int64_t>(1, params.output_lanes / params.vector_size);
    const auto turns = [&](int64_t banks) { return (vectors + banks - 1) / banks; };
    const int64_t reads = ppu.residual ? turns(params.inp_banks) : 1;
    const int64_t writes = ppu.wide ? 1 : turns(params.out_banks);
    return Turns(params, ppu) * (std::max(reads, writes) - 1);
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
