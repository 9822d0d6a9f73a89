#include "tvm_vsq/runtime/operands.h"

#include <algorithm>
#include <iterator>

#include "tvm_vsq/sim/error.h"

namespace tvm_vsq::runtime {

namespace ffi = tvm::ffi;

OperandArguments::OperandArguments(const ffi::PackedArgs& args) {
  if (static_cast<size_t>(args.size()) < kCount)
    sim::Fail("record_operands takes program, layer, unit, lane, skip, cycles and tensors");
  int at = 0;
  for (std::string* name : {&program, &layer, &unit}) {
    const auto text = args[at++].try_cast<ffi::String>();
    if (!text.has_value()) sim::Fail("argument ", at - 1, " of record_operands is no string");
    *name = std::string(*text);
  }
  for (uint64_t* number : {&lane, &skip, &cycles}) {
    const auto integer = args[at++].try_cast<int64_t>();
    if (!integer.has_value() || *integer < 0)
      sim::Fail("argument ", at - 1, " of record_operands is no integer of at least 0");
    *number = static_cast<uint64_t>(*integer);
  }
  tensors_ = static_cast<size_t>(args.size()) - kCount;
}

sim::OperandRequest OperandArguments::RequestFor(const sim::Program& of_program) const {
  sim::OperandRequest request;
  const auto& layers = of_program.layer_names;
  const auto found = std::find(layers.begin(), layers.end(), layer);
  if (found == layers.end()) sim::Fail("there is no layer '", layer, "'");
  request.layer = static_cast<size_t>(found - layers.begin());
  const auto* name = std::find(std::begin(sim::kEngineNames), std::end(sim::kEngineNames), unit);
  if (name == std::end(sim::kEngineNames)) sim::Fail("there is no unit '", unit, "'");
  request.unit = static_cast<sim::Engine>(name - std::begin(sim::kEngineNames));
  request.lane = lane;
  request.skip = skip;
  request.cycles = cycles;
  return request;
}

ffi::Map<ffi::String, ffi::Any> RecordingOf(sim::OperandRecorder* recorder) {
  ffi::Map<ffi::String, ffi::Bytes> columns;
  for (const auto& [name, numbers] : recorder->rows().columns()) {
    const auto* bytes = reinterpret_cast<const char*>(numbers.data());
    columns.Set(ffi::String(name), ffi::Bytes(bytes, numbers.size() * sizeof(int64_t)));
  }
  return {{"cycles", static_cast<int64_t>(recorder->cycles())},
          {"recorded", static_cast<int64_t>(recorder->rows().recorded())},
          {"columns", columns}};
}

}  // namespace tvm_vsq::runtime
