// The on-chip memories, unpacked for arithmetic: what LOAD writes, GEMM and PPU use and STORE reads.
#ifndef TVM_VSQ_SIM_SCRATCHPADS_H_
#define TVM_VSQ_SIM_SCRATCHPADS_H_

#include <cstdint>
#include <vector>

#include "tvm_vsq/sim/params.h"

namespace tvm_vsq::sim {

struct ChannelParams {
  uint16_t mult = 0;
  uint8_t shift = 0;
  bool negative = false;  // the multiplier is
  int32_t bias = 0, clip = 0;
};

// Without the micro-ops, which are constants (MicroOps).
struct Scratchpads {
  explicit Scratchpads(const Params& params);

  // [depth][V]: the N-bit element codes, which are the unsigned elements, and the signed elements plus
  // 2^(N-1). Which of them holds is the instruction's business; both suit multipliers of unsigned by signed
  // bytes.
  std::vector<uint8_t> inp_code, inp_biased;
  std::vector<int32_t> inp_scale;  // [depth]
  // [depth][V/4][BO][4]: four neighbouring elements of all output lanes side by side, the order in which the
  // GEMM kernels read.
  std::vector<int8_t> wgt;
  std::vector<int32_t> wgt_scale;  // [depth][BO]
  std::vector<int32_t> wgt_sum;  // [depth][BO]: sum of the vector's elements, which takes the bias out again
  // What one instruction makes of entries for itself; empty before one does. Of wgt, as unsigned numbers
  // (ElementsOfWeights).
  std::vector<int8_t> unsigned_wgt;
  std::vector<int32_t> unsigned_wgt_sum;
  std::vector<uint8_t> joined_inp;  // vectors of several entries of inp (InpVectors); likewise
  // [depth][BO]: accumulators of up to 32 bits are in acc32, wider ones in acc64; the other one is empty.
  std::vector<int32_t> acc32;
  std::vector<int64_t> acc64;
  std::vector<ChannelParams> par;  // [depth][BO]
  std::vector<uint8_t> out;        // [depth][V]: N-bit element codes
  std::vector<int32_t> out_scale;  // [depth]
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_SCRATCHPADS_H_
