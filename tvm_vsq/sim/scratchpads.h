// The on-chip memories, unpacked for arithmetic: what LOAD writes, GEMM and PPU use and STORE reads.
#ifndef TVM_VSQ_SIM_SCRATCHPADS_H_
#define TVM_VSQ_SIM_SCRATCHPADS_H_

#include <cstdint>
#include <vector>

#include "tvm_vsq/sim/params.h"

namespace tvm_vsq::sim {

struct Uop {
  uint32_t acc = 0, inp = 0, wgt = 0;
};

struct ChannelParams {
  uint16_t mult = 0;
  uint8_t shift = 0;
  int32_t bias = 0, clip = 0;
};

struct Scratchpads {
  explicit Scratchpads(const Params& params);

  std::vector<Uop> uop;  // [depth]
  // [depth][V]: element codes read as signed and as unsigned; which one holds is the instruction's business.
  std::vector<int16_t> inp_signed, inp_unsigned;
  std::vector<int32_t> inp_scale;  // [depth]
  // [depth][V/2][BO][2]: element pairs of all output lanes side by side, the order in which the GEMM kernel
  // reads.
  std::vector<int16_t> wgt;
  std::vector<int32_t> wgt_scale;  // [depth][BO]
  std::vector<int64_t> acc;        // [depth][BO]
  std::vector<ChannelParams> par;  // [depth][BO]
  std::vector<int16_t> out;        // [depth][V]
  std::vector<int32_t> out_scale;  // [depth]
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_SCRATCHPADS_H_
