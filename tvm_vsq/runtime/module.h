// The TVM runtime module: programs as functions, run by the simulator.
#ifndef TVM_VSQ_RUNTIME_MODULE_H_
#define TVM_VSQ_RUNTIME_MODULE_H_

#include <tvm/ffi/container/array.h>
#include <tvm/ffi/container/map.h>
#include <tvm/ffi/container/tensor.h>
#include <tvm/ffi/extra/module.h>
#include <tvm/ffi/function.h>
#include <tvm/ffi/string.h>

#include <atomic>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "tvm_vsq/runtime/artifact.h"
#include "tvm_vsq/runtime/executable_program.h"
#include "tvm_vsq/runtime/pool.h"
#include "tvm_vsq/sim/machine.h"
#include "tvm_vsq/sim/trace.h"

namespace tvm_vsq::runtime {

// Functions: each program by its name (inputs, then outputs, which are written in place), get_metadata,
// get_programs, get_timing, get_trace, record_operands, set_functional and set_threads. Calls from several
// threads run side by side.
class AcceleratorModule : public tvm::ffi::ModuleObj {
 public:
  // Throws sim::Error for a malformed program, a duplicate name, or the name of one of the other functions.
  // With `verify`, also for a program with a race on a scratchpad.
  AcceleratorModule(Artifact artifact, bool verify);

  const char* kind() const final { return "vsq_accel"; }
  int GetPropertyMask() const final {
    return tvm::ffi::Module::kBinarySerializable | tvm::ffi::Module::kRunnable;
  }
  tvm::ffi::Optional<tvm::ffi::Function> GetFunction(const tvm::ffi::String& name) final;
  tvm::ffi::Bytes SaveToBytes() const final;

 private:
  using Listing = tvm::ffi::Map<tvm::ffi::String, tvm::ffi::Any>;
  using Dram = std::vector<uint8_t>;
  using Recording = tvm::ffi::Map<tvm::ffi::String, tvm::ffi::Any>;
  using Profile = tvm::ffi::Map<tvm::ffi::String, tvm::ffi::Any>;

  void Run(size_t index, const tvm::ffi::PackedArgs& args);
  // Records what a unit works on, for inputs, in the layers of a program.
  Recording RecordOperands(const tvm::ffi::PackedArgs& args);
  // Makes the DRAM that a run with these inputs begins with; `argument` says which tensor it is at.
  void FillDram(const ExecutableProgram& program, const std::vector<void*>& tensors, const Lease<Dram>& dram,
                size_t* argument) const;
  size_t IndexOf(const std::string& program) const;
  int Threads() const;
  // Copies the inputs into DRAM, executes and copies the outputs out; `argument` says which tensor it is at.
  void Compute(size_t index, const std::vector<void*>& tensors, size_t* argument);
  tvm::ffi::Array<Profile> GetTiming() const;
  tvm::ffi::Array<Listing> GetPrograms() const;
  sim::Trace TraceProgram(const std::string& name, int64_t max_bins) const;

  const Artifact artifact_;
  std::deque<ExecutableProgram> programs_;
  std::map<std::string, size_t> index_;
  Pool<sim::Machine> machines_;
  std::deque<Pool<Dram>> drams_;  // by program: what runs left
  std::atomic<bool> functional_{true};
  std::atomic<int> threads_{0};  // 0: as many as this process may use
};

}  // namespace tvm_vsq::runtime

#endif  // TVM_VSQ_RUNTIME_MODULE_H_
