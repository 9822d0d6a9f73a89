// How full the scratchpads are while a program runs.
#ifndef TVM_VSQ_SIM_OCCUPANCY_H_
#define TVM_VSQ_SIM_OCCUPANCY_H_

#include <array>
#include <cstdint>
#include <vector>

#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/params.h"
#include "tvm_vsq/sim/prepare.h"
#include "tvm_vsq/sim/timing.h"

namespace tvm_vsq::sim {

using PadCounts = std::array<int64_t, kPadCount>;

// For each of `bins` intervals of `bin_cycles`: the cycles in which entries were alive, summed over the
// entries of each scratchpad. An entry is alive from the transfer or computation that fills it to the end of
// the last one that uses what it holds; accumulating is a use.
std::vector<PadCounts> AliveCycles(const Params& params, const Program& program,
                                   const PreparedProgram& prepared,
                                   const std::vector<InstructionTimes>& times, int64_t bin_cycles,
                                   size_t bins);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_OCCUPANCY_H_
