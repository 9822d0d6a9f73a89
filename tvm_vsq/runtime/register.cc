// The global functions of this library, registered when it is loaded.
#include <tvm/ffi/container/array.h>
#include <tvm/ffi/container/map.h>
#include <tvm/ffi/extra/module.h>
#include <tvm/ffi/reflection/registry.h>
#include <tvm/ffi/tvm_ffi.h>

#include <string>
#include <utility>
#include <vector>

#include "tvm_vsq/runtime/convert.h"
#include "tvm_vsq/runtime/guard.h"
#include "tvm_vsq/runtime/limits.h"
#include "tvm_vsq/runtime/module.h"
#include "tvm_vsq/runtime/profile.h"
#include "tvm_vsq/runtime/serialize.h"
#include "tvm_vsq/sim/decode.h"
#include "tvm_vsq/sim/gemm_kernel.h"
#include "tvm_vsq/sim/limits.h"
#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::runtime {

namespace ffi = tvm::ffi;

namespace {

using AnyMap = ffi::Map<ffi::String, ffi::Any>;
using ParamMap = ffi::Map<ffi::String, int64_t>;

// Of the modules that this thread makes.
thread_local bool verify_programs = true;

bool SetVerify(bool verify) { return std::exchange(verify_programs, verify); }

ffi::Array<ffi::String> Kernels() {
  ffi::Array<ffi::String> names;
  for (const std::string& name : sim::GemmKernelNames()) names.push_back(ffi::String(name));
  return names;
}

void UseKernel(const ffi::String& name) {
  Guard([&] { sim::UseGemmKernel(std::string_view(name.data(), name.size())); });
}

ffi::Module CreateModule(const ParamMap& params, const ffi::Array<AnyMap>& programs,
                         const ffi::String& metadata) {
  return Guard([&] {
    Artifact artifact;
    artifact.params = ConvertParams(params);
    artifact.metadata = std::string(metadata);
    for (const AnyMap& program : programs) artifact.programs.push_back(ConvertProgram(program));
    CheckLimits(artifact);
    return ffi::Module(ffi::make_object<AcceleratorModule>(std::move(artifact), verify_programs));
  });
}

ffi::Module LoadFromBytes(const ffi::Bytes& bytes) {
  return Guard([&] {
    Artifact artifact = Deserialize(std::string_view(bytes.data(), bytes.size()));
    return ffi::Module(ffi::make_object<AcceleratorModule>(std::move(artifact), verify_programs));
  });
}

AnyMap SimulateTiming(const ParamMap& params, const ffi::Bytes& instructions, const ffi::Bytes& layer_ids,
                      int64_t num_layers) {
  return Guard([&] {
    if (num_layers < 0 || num_layers > static_cast<int64_t>(sim::kMaxLayers))
      sim::Fail("num_layers is ", num_layers, ", must be 0 to ", sim::kMaxLayers);
    const sim::Params hardware = ConvertParams(params);
    std::vector<std::string> names;
    for (int64_t i = 0; i < num_layers; ++i) names.push_back(std::to_string(i));
    const sim::Program program =
        sim::DecodeProgram(hardware, std::string_view(instructions.data(), instructions.size()),
                           std::string_view(layer_ids.data(), layer_ids.size()), names,
                           static_cast<uint64_t>(hardware.dram_bytes));
    return ProfileOf("", sim::SimulateTiming(hardware, program));
  });
}

}  // namespace

TVM_FFI_STATIC_INIT_BLOCK() {
  sim::poll_hook = CheckSignals;
  tvm::ffi::reflection::GlobalDef()
      .def("ffi.Module.load_from_bytes.vsq_accel", LoadFromBytes)
      .def("tvm_vsq.create_module", CreateModule)
      .def("tvm_vsq.set_verify", SetVerify)
      .def("tvm_vsq.kernels", Kernels)
      .def("tvm_vsq.use_kernel", UseKernel)
      .def("tvm_vsq.simulate_timing", SimulateTiming)
      .def("tvm_vsq.timing_names", TimingNames);
}

}  // namespace tvm_vsq::runtime
