// A GEMM instruction rearranged for the host: which micro-ops share weights, and which share accumulators.
#ifndef TVM_VSQ_SIM_GEMM_PLAN_H_
#define TVM_VSQ_SIM_GEMM_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tvm_vsq/sim/params.h"
#include "tvm_vsq/sim/plan.h"

namespace tvm_vsq::sim {

struct GemmPlan : MicroOpPlan {
  struct Pixel {
    uint32_t acc, inp;
  };
  struct Step {
    uint32_t inp, wgt;
    bool operator<(const Step& other) const { return inp != other.inp ? inp < other.inp : wgt < other.wgt; }
  };
  // acc[acc + pixel.acc] += inp[inp + pixel.inp + step.inp] * wgt[wgt + step.wgt] for every pixel of
  // [first_pixel, + pixels) and step of [first_step, + steps).
  struct Tile {
    uint32_t acc, inp, wgt;
    size_t first_pixel, pixels, first_step, steps;
  };
  // All micro-ops in all iterations. No two pixels have the same accumulator, so that any order gives the
  // same sums. No tiles: the instruction is not of that kind.
  std::vector<Pixel> pixels;
  std::vector<Step> steps;
  std::vector<Tile> tiles;

  uint64_t Bytes() const override;
};

// `uops[0, gemm.uop_count)` are the instruction's; their indices stay inside the scratchpads.
GemmPlan MakeGemmPlan(const Params& params, const isa::Gemm& gemm, const Uop* uops);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_GEMM_PLAN_H_
