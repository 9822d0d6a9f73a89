// All that is known of a program before it runs.
#ifndef TVM_VSQ_SIM_PREPARE_H_
#define TVM_VSQ_SIM_PREPARE_H_

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/params.h"
#include "tvm_vsq/sim/plan.h"
#include "tvm_vsq/sim/written_bytes.h"

namespace tvm_vsq::sim {

struct PreparedProgram {
  struct Planned {
    const MicroOpPlan* plan = nullptr;  // if it has micro-ops
    bool safe = false;                  // no accumulator can overflow
  };

  std::vector<ByteRange> written;                         // bytes of DRAM that STOREs or inputs write
  std::vector<std::unique_ptr<const MicroOpPlan>> plans;  // each one that differs
  std::vector<Planned> planned;                           // by instruction
};

// Follows the micro-ops through a program that CheckProgram accepted. `image` is DRAM from address 0, with
// zeros behind it and without the inputs. Throws Error for micro-ops that are no constants or index outside a
// scratchpad and, if `verify`, for races on scratchpads and reads of entries that were never written. Adds
// what the result takes to `bytes`, and throws Error beyond kMaxPreparedBytes.
PreparedProgram Prepare(const Params& params, const Program& program, std::string_view image,
                        const std::vector<ByteRange>& inputs, bool verify, uint64_t* bytes);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_PREPARE_H_
