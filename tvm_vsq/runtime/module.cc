#include "tvm_vsq/runtime/module.h"

#include <tvm/ffi/cast.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "tvm_vsq/runtime/arguments.h"
#include "tvm_vsq/runtime/guard.h"
#include "tvm_vsq/runtime/operands.h"
#include "tvm_vsq/runtime/profile.h"
#include "tvm_vsq/runtime/serialize.h"
#include "tvm_vsq/runtime/tensor_codec.h"
#include "tvm_vsq/sim/error.h"

namespace tvm_vsq::runtime {

namespace ffi = tvm::ffi;

namespace {

constexpr const char* kReservedNames[] = {"get_metadata",    "get_programs",   "get_timing", "get_trace",
                                          "record_operands", "set_functional", "set_threads"};

constexpr int64_t kMaxThreads = 256;

// The image, and zeros behind it.
std::unique_ptr<std::vector<uint8_t>> InitialDram(const ExecutableProgram& program) {
  const std::string& image = program.data.image;
  auto dram = std::make_unique<std::vector<uint8_t>>(static_cast<size_t>(program.data.dram_bytes));
  std::copy(image.begin(), image.end(), dram->begin());
  return dram;
}

// Makes what a run left of it the initial DRAM again.
void RestoreDram(const ExecutableProgram& program, std::vector<uint8_t>* dram) {
  const std::string& image = program.data.image;
  for (const sim::ByteRange& range : program.prepared.written) {
    const uint64_t middle = std::clamp<uint64_t>(image.size(), range.begin, range.end);
    if (range.begin < middle)
      std::memcpy(dram->data() + range.begin, image.data() + range.begin, middle - range.begin);
    if (middle < range.end) std::memset(dram->data() + middle, 0, range.end - middle);
  }
}

// What the argument at `at` points to.
void* TensorAt(const ffi::PackedArgs& args, size_t at, const Descriptor& descriptor) {
  const auto tensor = args[static_cast<int>(at)].try_cast<DLTensor*>();
  if (!tensor.has_value()) sim::Fail("not a tensor");
  return TensorData(descriptor, **tensor);
}

size_t ArgumentBytes(const Descriptor& d) {
  return static_cast<size_t>(d.rows * d.lanes) *
         (d.kind == Descriptor::kWide ? sizeof(int32_t) : sizeof(int16_t));
}

}  // namespace

AcceleratorModule::AcceleratorModule(Artifact artifact, bool verify) : artifact_(std::move(artifact)) {
  uint64_t prepared_bytes = 0;
  for (const ProgramData& data : artifact_.programs) {
    for (const char* reserved : kReservedNames) {
      if (data.name == reserved) sim::Fail("a program must not be called '", reserved, "'");
    }
    if (!index_.emplace(data.name, programs_.size()).second)
      sim::Fail("two programs are called '", data.name, "'");
    programs_.emplace_back(artifact_.params, data, verify, &prepared_bytes);
    drams_.emplace_back();
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
  if (name == "get_timing") {
    return ffi::Function::FromTyped([self]() { return self->GetTiming(); });
  }
  if (name == "get_trace") {
    return ffi::Function::FromTyped([self](const ffi::String& program, int64_t max_bins) {
      return Guard([&] { return TraceOf(self->TraceProgram(std::string(program), max_bins)); });
    });
  }
  if (name == "record_operands") {
    return ffi::Function::FromPacked([self](ffi::PackedArgs args, ffi::Any* result) {
      Guard([&] { *result = self->RecordOperands(args); });
    });
  }
  if (name == "set_functional") {
    return ffi::Function::FromTyped([self](bool functional) { self->functional_ = functional; });
  }
  if (name == "set_threads") {
    return ffi::Function::FromTyped([self](int64_t threads) {
      Guard([&] {
        if (threads < 0 || threads > kMaxThreads)
          sim::Fail("set_threads: ", threads, " threads, must be 0 (all) to ", kMaxThreads);
        self->threads_ = static_cast<int>(threads);
      });
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
                        {"dram_bytes", program.data.dram_bytes},
                        {"layer_names", names}});
  }
  return listings;
}

ffi::Array<AcceleratorModule::Profile> AcceleratorModule::GetTiming() const {
  ffi::Array<Profile> profiles;
  for (const ExecutableProgram& program : programs_) {
    profiles.push_back(ProfileOf(program.data.name, program.timing));
  }
  return profiles;
}

size_t AcceleratorModule::IndexOf(const std::string& program) const {
  const auto found = index_.find(program);
  if (found == index_.end()) sim::Fail("there is no program '", program, "'");
  return found->second;
}

int AcceleratorModule::Threads() const {
  const int threads = threads_;
  return threads > 0 ? threads : sim::AvailableThreads();
}

sim::Trace AcceleratorModule::TraceProgram(const std::string& name, int64_t max_bins) const {
  const size_t index = IndexOf(name);
  if (max_bins < 1 || max_bins > 1'000'000) sim::Fail("max_bins is ", max_bins, ", must be 1 to 1000000");
  const ExecutableProgram& program = programs_[index];
  return sim::TraceProgram(artifact_.params, program.program, max_bins, &program.prepared);
}

void AcceleratorModule::Run(size_t index, const ffi::PackedArgs& args) {
  const ExecutableProgram& program = programs_[index];
  const ProgramData& data = program.data;
  const size_t inputs = data.inputs.size(), count = inputs + data.outputs.size();
  if (static_cast<size_t>(args.size()) != count) {
    sim::Fail("program '", data.name, "' takes ", inputs, " inputs and ", data.outputs.size(),
              " outputs, got ", args.size(), " arguments");
  }
  size_t argument = 0;
  try {
    std::vector<void*> tensors;
    for (; argument < count; ++argument) {
      tensors.push_back(TensorAt(
          args, argument, argument < inputs ? data.inputs[argument] : data.outputs[argument - inputs]));
    }
    if (functional_) {
      Compute(index, tensors, &argument);
    } else {
      for (size_t i = inputs; i < count; ++i)
        std::memset(tensors[i], 0, ArgumentBytes(data.outputs[i - inputs]));
    }
  } catch (const sim::Error& error) {
    if (argument == count) sim::Fail("program '", data.name, "': ", error.what());
    const bool input = argument < inputs;
    sim::Fail("program '", data.name, "', ", input ? "input " : "output ",
              input ? argument : argument - inputs, ": ", error.what());
  }
}

void AcceleratorModule::FillDram(const ExecutableProgram& program, const std::vector<void*>& tensors,
                                 const Lease<Dram>& dram, size_t* argument) const {
  const std::vector<Descriptor>& inputs = program.data.inputs;
  if (dram.reused()) RestoreDram(program, dram.get());
  for (*argument = 0; *argument < inputs.size(); ++*argument) {
    WriteTensor(artifact_.params, inputs[*argument], tensors[*argument], dram.get());
  }
}

void AcceleratorModule::Compute(size_t index, const std::vector<void*>& tensors, size_t* argument) {
  const ExecutableProgram& program = programs_[index];
  const std::vector<Descriptor>&inputs = program.data.inputs, &outputs = program.data.outputs;
  Lease<Dram> dram(&drams_[index], [&] { return InitialDram(program); });
  FillDram(program, tensors, dram, argument);
  *argument = tensors.size();
  Lease<sim::Machine> machine(&machines_, [&] { return std::make_unique<sim::Machine>(artifact_.params); });
  machine.get()->Run(program.program, program.prepared, Threads(), dram.get());
  for (size_t i = 0; i < outputs.size(); ++i) {
    ReadTensor(artifact_.params, outputs[i], *dram.get(), tensors[inputs.size() + i]);
  }
}

AcceleratorModule::Recording AcceleratorModule::RecordOperands(const ffi::PackedArgs& args) {
  const OperandArguments wanted(args);
  const size_t index = IndexOf(wanted.program);
  const ExecutableProgram& program = programs_[index];
  const std::vector<Descriptor>& inputs = program.data.inputs;
  if (wanted.tensors() < inputs.size())
    sim::Fail("program '", wanted.program, "' takes ", inputs.size(), " inputs, got ", wanted.tensors());
  size_t argument = 0;
  try {
    std::vector<void*> tensors;
    for (; argument < inputs.size(); ++argument)
      tensors.push_back(TensorAt(args, OperandArguments::kCount + argument, inputs[argument]));
    Lease<Dram> dram(&drams_[index], [&] { return InitialDram(program); });
    FillDram(program, tensors, dram, &argument);
    sim::OperandRecorder recorder(artifact_.params, program.program, wanted.RequestFor(program.program));
    Lease<sim::Machine> machine(&machines_, [&] { return std::make_unique<sim::Machine>(artifact_.params); });
    machine.get()->Record(program.program, program.prepared, Threads(), dram.get(), &recorder);
    return RecordingOf(&recorder);
  } catch (const sim::Error& error) {
    if (argument == inputs.size()) sim::Fail("program '", wanted.program, "': ", error.what());
    sim::Fail("program '", wanted.program, "', input ", argument, ": ", error.what());
  }
}

}  // namespace tvm_vsq::runtime
