#include "tvm_vsq/sim/scratchpads.h"

namespace tvm_vsq::sim {

Scratchpads::Scratchpads(const Params& params) {
  const auto size = static_cast<size_t>(params.vector_size), lanes = static_cast<size_t>(params.output_lanes);
  const auto depth = [&](Pad pad) { return static_cast<size_t>(params.Depth(pad)); };
  inp_code.resize(depth(Pad::kInp) * size);
  inp_biased.resize(depth(Pad::kInp) * size);
  inp_scale.resize(depth(Pad::kInp));
  wgt.resize(depth(Pad::kWgt) * size * lanes);
  wgt_scale.resize(depth(Pad::kWgt) * lanes);
  wgt_sum.resize(depth(Pad::kWgt) * lanes);
  if (params.accumulator_bits <= 32) {
    acc32.resize(depth(Pad::kAcc) * lanes);
  } else {
    acc64.resize(depth(Pad::kAcc) * lanes);
  }
  par.resize(depth(Pad::kPar) * lanes);
  out.resize(depth(Pad::kOut) * size);
  out_scale.resize(depth(Pad::kOut));
}

}  // namespace tvm_vsq::sim
