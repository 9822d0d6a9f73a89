// The micro-op scratchpad, followed through a program when it is loaded: micro-ops are constants.
#ifndef TVM_VSQ_SIM_MICRO_OPS_H_
#define TVM_VSQ_SIM_MICRO_OPS_H_

#include <string_view>
#include <vector>

#include "tvm_vsq/isa/isa.h"
#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/params.h"
#include "tvm_vsq/sim/scratchpads.h"
#include "tvm_vsq/sim/written_bytes.h"

namespace tvm_vsq::sim {

class MicroOps {
 public:
  // `image` is DRAM from address 0; zeros lie behind it.
  MicroOps(const Params& params, const Program& program, std::string_view image, const WrittenBytes& written);

  // Executes a LOAD of micro-ops. Throws Error if it reads bytes that a STORE or an input writes.
  void Load(size_t index);

  // Throws Error if an index of a micro-op of a GEMM leaves its scratchpad in some iteration.
  void CheckIndices(size_t index) const;

  const std::vector<Uop>& uops() const { return uops_; }

 private:
  Uop Decode(uint64_t address) const;

  const Params& params_;
  const Program& program_;
  const std::string_view image_;
  const WrittenBytes& written_;
  const isa::UopFields fields_;
  std::vector<Uop> uops_;
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_MICRO_OPS_H_
