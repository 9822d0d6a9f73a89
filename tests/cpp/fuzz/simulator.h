// The simulator as the fuzz targets see it: every call that depends on its interfaces is here.
#ifndef TESTS_CPP_FUZZ_SIMULATOR_H_
#define TESTS_CPP_FUZZ_SIMULATOR_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tvm_vsq/runtime/executable_program.h"
#include "tvm_vsq/sim/decode.h"
#include "tvm_vsq/sim/machine.h"
#include "tvm_vsq/sim/order.h"
#include "tvm_vsq/sim/timing.h"

namespace tvm_vsq::fuzz {

// Everything that is checked before a program may run; throws sim::Error.
inline sim::Program Accept(const sim::Params& params, std::string_view instructions,
                           std::string_view layer_ids, std::vector<std::string> layer_names,
                           uint64_t dram_bytes) {
  sim::Program program =
      sim::DecodeProgram(params, instructions, layer_ids, std::move(layer_names), dram_bytes);
  sim::SimulateTiming(params, program);
  sim::CheckOrder(params, program);
  return program;
}

// The same for a program of an artifact, with its image and its arguments.
inline void Accept(const sim::Params& params, const runtime::ProgramData& data) {
  runtime::ExecutableProgram(params, data);
}

// Throws sim::Error for what depends on data.
inline void Run(const sim::Program& program, sim::Machine* machine, std::vector<uint8_t>* dram) {
  machine->Run(program, dram, [] {});
}

}  // namespace tvm_vsq::fuzz

#endif  // TESTS_CPP_FUZZ_SIMULATOR_H_
