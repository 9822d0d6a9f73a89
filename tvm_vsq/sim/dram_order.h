// Races between LOAD and STORE on DRAM.
#ifndef TVM_VSQ_SIM_DRAM_ORDER_H_
#define TVM_VSQ_SIM_DRAM_ORDER_H_

#include <cstdint>
#include <vector>

#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/order.h"
#include "tvm_vsq/sim/params.h"

namespace tvm_vsq::sim {

// A shadow of DRAM in granules: the last LOAD and the last STORE of each. Two transfers that share a granule
// without being ordered are then compared byte by byte, so that neighbours inside one granule raise no alarm.
class DramOrder {
 public:
  DramOrder(const Params& params, const Program& program);

  // Throws Error if the LOAD or STORE `index` overlaps an earlier STORE or LOAD that may still be running.
  void Visit(const Order& order, size_t index);

 private:
  void CompareExactly(const Order& order, size_t index);

  const Params& params_;
  const Program& program_;
  std::vector<uint32_t> last_load_, last_store_;  // [granule]: instruction index + 1
  std::vector<size_t> loads_, stores_;            // instruction indices so far
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_DRAM_ORDER_H_
