#include "tvm_vsq/runtime/convert.h"

#include <tvm/ffi/container/array.h>

#include <map>
#include <string>

#include "tvm_vsq/sim/error.h"

namespace tvm_vsq::runtime {

namespace ffi = tvm::ffi;

namespace {

using AnyMap = ffi::Map<ffi::String, ffi::Any>;

template <typename T>
T Get(const AnyMap& program, const char* key) {
  const auto found = program.find(key);
  if (found == program.end()) sim::Fail("program: key '", key, "' is missing");
  std::optional<T> value = (*found).second.template try_cast<T>();
  if (!value.has_value()) sim::Fail("program: key '", key, "' has type ", (*found).second.GetTypeKey());
  return *std::move(value);
}

std::string GetBytes(const AnyMap& program, const char* key) {
  const auto bytes = Get<ffi::Bytes>(program, key);
  return std::string(bytes.data(), bytes.size());
}

std::vector<Descriptor> GetDescriptors(const AnyMap& program, const char* key) {
  std::vector<Descriptor> descriptors;
  for (const ffi::Array<int64_t>& row : Get<ffi::Array<ffi::Array<int64_t>>>(program, key)) {
    if (row.size() != 5 && row.size() != 8) {
      sim::Fail("program: '", key,
                "' rows are [kind, dram_offset, rows, lanes, signed], or these and [bits, ",
                "scale_bits, digits]");
    }
    Descriptor descriptor{row[0], row[1], row[2], row[3], row[4]};
    if (row.size() == 8) {
      descriptor.bits = row[5];
      descriptor.scale_bits = row[6];
      descriptor.digits = row[7];
    }
    descriptors.push_back(descriptor);
  }
  return descriptors;
}

}  // namespace

sim::Params ConvertParams(const ffi::Map<ffi::String, int64_t>& params) {
  std::map<std::string, int64_t> values;
  for (const auto& [name, value] : params) values.emplace(std::string(name), value);
  return sim::ParseParams(values);
}

ProgramData ConvertProgram(const AnyMap& program) {
  ProgramData data;
  data.name = std::string(Get<ffi::String>(program, "name"));
  data.instructions = GetBytes(program, "instructions");
  data.layer_ids = GetBytes(program, "layer_ids");
  for (const ffi::String& name : Get<ffi::Array<ffi::String>>(program, "layer_names")) {
    data.layer_names.emplace_back(name);
  }
  data.image = GetBytes(program, "image");
  data.dram_bytes = Get<int64_t>(program, "dram_bytes");
  data.inputs = GetDescriptors(program, "inputs");
  data.outputs = GetDescriptors(program, "outputs");
  return data;
}

}  // namespace tvm_vsq::runtime
