// Requests for operands from Python, and recordings back.
#ifndef TVM_VSQ_RUNTIME_OPERANDS_H_
#define TVM_VSQ_RUNTIME_OPERANDS_H_

#include <tvm/ffi/any.h>
#include <tvm/ffi/container/map.h>
#include <tvm/ffi/function.h>
#include <tvm/ffi/string.h>

#include <cstdint>
#include <string>

#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/operands/recorder.h"

namespace tvm_vsq::runtime {

// The first arguments of record_operands; the program's tensors follow, of which only the inputs are used.
struct OperandArguments {
  static constexpr size_t kCount = 6;

  // Throws sim::Error for too few, or others than three strings and three integers that are not negative.
  explicit OperandArguments(const tvm::ffi::PackedArgs& args);

  size_t tensors() const { return tensors_; }

  // Throws sim::Error for a layer that the program does not have, and an unknown unit.
  sim::OperandRequest RequestFor(const sim::Program& of_program) const;

  std::string program, layer, unit;
  uint64_t lane = 0, skip = 0, cycles = 0;

 private:
  size_t tensors_ = 0;
};

// {"cycles": of the unit in the layer, "recorded", "columns": name to int64[recorded, ...] as bytes}.
tvm::ffi::Map<tvm::ffi::String, tvm::ffi::Any> RecordingOf(sim::OperandRecorder* recorder);

}  // namespace tvm_vsq::runtime

#endif  // TVM_VSQ_RUNTIME_OPERANDS_H_
