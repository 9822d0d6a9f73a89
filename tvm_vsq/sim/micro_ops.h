// The micro-op scratchpad, followed through a program when it is loaded: micro-ops are constants.
#ifndef TVM_VSQ_SIM_MICRO_OPS_H_
#define TVM_VSQ_SIM_MICRO_OPS_H_

#include <string_view>
#include <vector>

#include "tvm_vsq/isa/isa.h"
#include "tvm_vsq/sim/declaration.h"
#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/params.h"
#include "tvm_vsq/sim/plan.h"
#include "tvm_vsq/sim/written_bytes.h"

namespace tvm_vsq::sim {

class MicroOps {
 public:
  // `image` is DRAM from address 0; zeros lie behind it.
  MicroOps(const Params& params, const Program& program, std::string_view image, const WrittenBytes& written);

  // Throws Error if the instruction reads bytes of DRAM that a STORE or an input writes.
  void CheckConstants(size_t index) const;

  // Takes an entry from its record in the image, or makes it zero.
  void Load(uint64_t entry, uint64_t address) { uops_[entry] = Decode(address); }
  void Clear(uint64_t entry) { uops_[entry] = Uop(); }

  // Throws Error if an index of a micro-op leaves its scratchpad in some iteration of the instruction.
  void CheckIndices(size_t index, const MicroOpLoops& loops) const;

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
