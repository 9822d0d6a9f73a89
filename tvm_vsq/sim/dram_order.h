// Races between transfers on DRAM.
#ifndef TVM_VSQ_SIM_DRAM_ORDER_H_
#define TVM_VSQ_SIM_DRAM_ORDER_H_

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/order.h"
#include "tvm_vsq/sim/params.h"
#include "tvm_vsq/sim/transfer.h"

namespace tvm_vsq::sim {

// A shadow of DRAM in granules: the last reader and the last writer of each, by engine. Two transfers that
// share a granule without being ordered, of which one writes, are then compared byte by byte, so that
// neighbours inside one granule raise no alarm. An engine's own transfers are in order.
class DramOrder {
 public:
  DramOrder(const Params& params, const Program& program);

  // Throws Error if the transfer of the current instruction, `index`, overlaps an earlier one that may still
  // be running, and one of the two writes.
  void Visit(const Order& order, size_t index, const Transfer& transfer);

 private:
  // What the instructions of one engine did so far.
  struct Side {
    std::vector<uint32_t> last;  // [granule]: instruction index + 1; empty before the first
    std::vector<std::pair<size_t, Transfer>> transfers;
  };

  void CompareExactly(const Order& order, size_t index, const Transfer& transfer, Engine engine,
                      const Side& others) const;

  const Params& params_;
  const Program& program_;
  std::array<Side, kEngineCount> readers_, writers_;
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_DRAM_ORDER_H_
