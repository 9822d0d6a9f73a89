// The TVM runtime module: programs as functions, run by the simulator.
#ifndef TVM_VSQ_RUNTIME_MODULE_H_
#define TVM_VSQ_RUNTIME_MODULE_H_

#include <tvm/ffi/container/array.h>
#include <tvm/ffi/container/map.h>
#include <tvm/ffi/container/tensor.h>
#include <tvm/ffi/extra/module.h>
#include <tvm/ffi/function.h>
#include <tvm/ffi/string.h>

#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "tvm_vsq/runtime/artifact.h"
#include "tvm_vsq/runtime/executable_program.h"
#include "tvm_vsq/sim/machine.h"
#include "tvm_vsq/sim/trace.h"

namespace tvm_vsq::runtime {

// Functions: each program by its name (inputs, then outputs, which are written in place), get_metadata,
// reset_profile, get_profile, get_trace and set_functional. Calls from several threads run one after the
// other.
class AcceleratorModule : public tvm::ffi::ModuleObj {
 public:
  // Throws sim::Error for a malformed program, a duplicate name, or the name of one of the other functions.
  explicit AcceleratorModule(Artifact artifact);

  const char* kind() const final { return "vsq_accel"; }
  int GetPropertyMask() const final {
    return tvm::ffi::Module::kBinarySerializable | tvm::ffi::Module::kRunnable;
  }
  tvm::ffi::Optional<tvm::ffi::Function> GetFunction(const tvm::ffi::String& name) final;
  tvm::ffi::Bytes SaveToBytes() const final;

 private:
  using Listing = tvm::ffi::Map<tvm::ffi::String, tvm::ffi::Any>;
  using Profile = tvm::ffi::Map<tvm::ffi::String, tvm::ffi::Any>;

  void Run(size_t index, const tvm::ffi::PackedArgs& args);
  void Compute(const ExecutableProgram& program, const std::vector<void*>& tensors);
  tvm::ffi::Array<Profile> GetProfile();
  tvm::ffi::Array<Listing> GetPrograms() const;
  sim::Trace TraceProgram(const std::string& name, int64_t max_bins) const;

  const Artifact artifact_;
  std::deque<ExecutableProgram> programs_;
  std::map<std::string, size_t> index_;
  std::mutex mutex_;  // guards everything below
  sim::Machine machine_;
  std::vector<uint8_t> dram_;
  std::vector<uint32_t> runs_;  // program indices since the last reset
  bool functional_ = true;
};

}  // namespace tvm_vsq::runtime

#endif  // TVM_VSQ_RUNTIME_MODULE_H_
