// The simulator as the fuzz targets see it: every call that depends on its interfaces is here.
#ifndef TESTS_CPP_FUZZ_SIMULATOR_H_
#define TESTS_CPP_FUZZ_SIMULATOR_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/cpp/fuzz/target.h"
#include "tvm_vsq/runtime/executable_program.h"
#include "tvm_vsq/sim/decode.h"
#include "tvm_vsq/sim/machine.h"
#include "tvm_vsq/sim/order.h"
#include "tvm_vsq/sim/prepare.h"
#include "tvm_vsq/sim/trace.h"

namespace tvm_vsq::fuzz {

struct Accepted {
  sim::Program program;
  sim::PreparedProgram prepared;
};

// The critical path has no gaps, and every cycle of every unit is accounted for.
inline void CheckTiming(const sim::Params& params, const sim::Program& program) {
  const sim::Timing timing = sim::SimulateTiming(params, program);
  for (size_t unit = 0; unit < sim::kUnitCount; ++unit) {
    int64_t cycles = 0;
    for (const sim::LayerTiming& layer : timing.layers) {
      cycles += layer.units[unit].busy;
      for (const auto& causes : layer.units[unit].stalls) {
        for (const int64_t count : causes) cycles += count;
      }
    }
    Require(cycles == timing.cycles, "busy and stalled cycles of a unit are all cycles");
  }
  int64_t now = 0;
  for (const sim::PathStep& step : sim::TraceProgram(params, program, 10).path) {
    Require(step.begin == now, "the critical path has no gaps");
    now = step.end;
  }
  Require(now == timing.cycles, "the critical path reaches the end");
}

// Everything that is checked before a program may run; throws sim::Error.
inline Accepted Accept(const sim::Params& params, std::string_view instructions, std::string_view layer_ids,
                       std::vector<std::string> layer_names, uint64_t dram_bytes, std::string_view image) {
  Accepted accepted;
  accepted.program = sim::DecodeProgram(params, instructions, layer_ids, std::move(layer_names), dram_bytes);
  CheckTiming(params, accepted.program);
  sim::CheckOrder(params, accepted.program);
  uint64_t bytes = 0;
  accepted.prepared = sim::Prepare(params, accepted.program, image, {}, true, &bytes);
  return accepted;
}

// The same for a program of an artifact, with its image and its arguments.
inline void Accept(const sim::Params& params, const runtime::ProgramData& data) {
  uint64_t bytes = 0;
  runtime::ExecutableProgram(params, data, true, &bytes);
}

// Throws sim::Error for what depends on data.
inline void Run(const Accepted& accepted, int threads, sim::Machine* machine, std::vector<uint8_t>* dram) {
  machine->Run(accepted.program, accepted.prepared, threads, dram);
}

}  // namespace tvm_vsq::fuzz

#endif  // TESTS_CPP_FUZZ_SIMULATOR_H_
