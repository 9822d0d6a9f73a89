#include "tvm_vsq/runtime/module.h"

#include <tvm/ffi/cast.h>
#include <tvm/ffi/extra/c_env_api.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "tvm_vsq/runtime/arguments.h"
#include "tvm_vsq/runtime/guard.h"
#include "tvm_vsq/runtime/profile.h"
#include "tvm_vsq/runtime/serialize.h"
#include "tvm_vsq/runtime/tensor_codec.h"
#include "tvm_vsq/sim/error.h"

namespace tvm_vsq::runtime {

namespace ffi = tvm::ffi;

namespace {

constexpr const char* kReservedNames[] = {"get_metadata", "get_programs", "reset_profile",
                                          "get_profile",  "get_trace",    "set_functional"};

// Lets a user interrupt a long simulation from Python.
void CheckSignals() {
  if (TVMFFIEnvCheckSignals() != 0) throw ffi::EnvErrorAlreadySet();
}

size_t ArgumentBytes(const Descriptor& d) {
  return static_cast<size_t>(d.rows * d.lanes) *
         (d.kind == Descriptor::kWide ? sizeof(int32_t) : sizeof(int16_t));
}

}  // namespace

AcceleratorModule::AcceleratorModule(Artifact artifact)
    : artifact_(std::move(artifact)), machine_(artifact_.params) {
  for (const ProgramData& data : artifact_.programs) {
    for (const char* reserved : kReservedNames) {
      if (data.name == reserved) sim::Fail("a program must not be called '", reserved, "'");
    }
    if (!index_.emplace(data.name, programs_.size()).second)
      sim::Fail("two programs are called '", data.name, "'");
    programs_.emplace_back(artifact_.params, data);
  }
}

ffi::Optional<ffi::Function> AcceleratorModule::GetFunction(const ffi::String& name) {
  // The functions keep the module alive.
  ffi::ObjectPtr<AcceleratorModule> self = ffi::GetObjectPtr<AcceleratorModule>(this);
  if (name == "get_metadata") {
    return ffi::Function::FromTyped([self]() { return ffi::String(self->artifact_.metadata); });
  }
  if (name == "get_programs") {
    return ffi::Function::FromTyped([self]() { return self->GetPrograms(); });
  }
  if (name == "reset_profile") {
    return ffi::Function::FromTyped([self]() {
      const std::lock_guard<std::mutex> lock(self->mutex_);
      self->runs_.clear();
    });
  }
  if (name == "get_profile") {
    return ffi::Function::FromTyped([self]() { return self->GetProfile(); });
  }
  if (name == "get_trace") {
    return ffi::Function::FromTyped([self](const ffi::String& program, int64_t max_bins) {
      return Guard([&] { return TraceOf(self->TraceProgram(std::string(program), max_bins)); });
    });
  }
  if (name == "set_functional") {
    return ffi::Function::FromTyped([self](bool functional) {
      const std::lock_guard<std::mutex> lock(self->mutex_);
      self->functional_ = functional;
    });
  }
  const auto found = index_.find(std::string(name));
  if (found == index_.end()) return std::nullopt;
  return ffi::Function::FromPacked([self, index = found->second](ffi::PackedArgs args, ffi::Any*) {
    Guard([&] { self->Run(index, args); });
  });
}

ffi::Bytes AcceleratorModule::SaveToBytes() const { return ffi::Bytes(Serialize(artifact_)); }

ffi::Array<AcceleratorModule::Listing> AcceleratorModule::GetPrograms() const {
  ffi::Array<Listing> listings;
  for (const ExecutableProgram& program : programs_) {
    ffi::Array<ffi::String> names;
    for (const std::string& name : program.data.layer_names) names.push_back(ffi::String(name));
    ffi::Array<int64_t> layers;
    for (const sim::Instruction& instruction : program.program.instructions)
      layers.push_back(instruction.layer);
    listings.push_back({{"name", ffi::String(program.data.name)},
                        {"instructions", ffi::Bytes(program.data.instructions)},
                        {"layers", layers},
                        {"layer_names", names}});
  }
  return listings;
}

ffi::Array<AcceleratorModule::Profile> AcceleratorModule::GetProfile() {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::map<uint32_t, Profile> shared;  // every run of a program has the same profile
  ffi::Array<Profile> profiles;
  for (const uint32_t run : runs_) {
    auto found = shared.find(run);
    if (found == shared.end()) {
      found = shared.emplace(run, ProfileOf(programs_[run].data.name, programs_[run].timing)).first;
    }
    profiles.push_back(found->second);
  }
  return profiles;
}

sim::Trace AcceleratorModule::TraceProgram(const std::string& name, int64_t max_bins) const {
  const auto found = index_.find(name);
  if (found == index_.end()) sim::Fail("there is no program '", name, "'");
  if (max_bins < 1 || max_bins > 1'000'000) sim::Fail("max_bins is ", max_bins, ", must be 1 to 1000000");
  return sim::TraceProgram(artifact_.params, programs_[found->second].program, max_bins);
}

void AcceleratorModule::Run(size_t index, const ffi::PackedArgs& args) {
  const ExecutableProgram& program = programs_[index];
  const ProgramData& data = program.data;
  const size_t inputs = data.inputs.size(), count = inputs + data.outputs.size();
  if (static_cast<size_t>(args.size()) != count) {
    sim::Fail("program '", data.name, "' takes ", inputs, " inputs and ", data.outputs.size(),
              " outputs, got ", args.size(), " arguments");
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  size_t argument = 0;
  try {
    std::vector<void*> tensors;
    for (; argument < count; ++argument) {
      const auto tensor = args[static_cast<int>(argument)].try_cast<DLTensor*>();
      if (!tensor.has_value()) sim::Fail("not a tensor");
      const Descriptor& descriptor =
          argument < inputs ? data.inputs[argument] : data.outputs[argument - inputs];
      tensors.push_back(TensorData(descriptor, **tensor));
    }
    dram_.assign(data.image.begin(), data.image.end());
    dram_.resize(static_cast<size_t>(data.dram_bytes));
    for (argument = 0; functional_ && argument < inputs; ++argument) {
      WriteVectors(artifact_.params, data.inputs[argument], static_cast<const int16_t*>(tensors[argument]),
                   &dram_);
    }
    argument = count;
    Compute(program, tensors);
  } catch (const sim::Error& error) {
    if (argument == count) sim::Fail("program '", data.name, "': ", error.what());
    const bool input = argument < inputs;
    sim::Fail("program '", data.name, "', ", input ? "input " : "output ",
              input ? argument : argument - inputs, ": ", error.what());
  }
  runs_.push_back(static_cast<uint32_t>(index));
}

void AcceleratorModule::Compute(const ExecutableProgram& program, const std::vector<void*>& tensors) {
  if (functional_) machine_.Run(program.program, &dram_, CheckSignals);
  const std::vector<Descriptor>& outputs = program.data.outputs;
  for (size_t i = 0; i < outputs.size(); ++i) {
    void* tensor = tensors[program.data.inputs.size() + i];
    if (!functional_) {
      std::memset(tensor, 0, ArgumentBytes(outputs[i]));
    } else if (outputs[i].kind == Descriptor::kWide) {
      ReadWide(artifact_.params, outputs[i], dram_, static_cast<int32_t*>(tensor));
    } else {
      ReadVectors(artifact_.params, outputs[i], dram_, static_cast<int16_t*>(tensor));
    }
  }
}

}  // namespace tvm_vsq::runtime
