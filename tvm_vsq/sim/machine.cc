#include "tvm_vsq/sim/machine.h"

#include "tvm_vsq/sim/declarations.h"
#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::sim {
namespace {

void Check(const Program& program, const std::vector<uint8_t>& dram) {
  if (dram.size() != program.dram_bytes)
    Fail("DRAM has ", dram.size(), " bytes, expected ", program.dram_bytes);
}

void Step(const Execution& execution) {
  CountWork(1);
  std::visit([&](const auto& insn) { Execute(insn, execution); },
             execution.program.instructions[execution.index].body);
}

}  // namespace

Machine::Machine(const Params& params) : params_(params), codec_(params), pads_(params) {}

Execution Machine::Prepare(const Program& program, const PreparedProgram& prepared, size_t index, int threads,
                           std::vector<uint8_t>* dram) {
  const PreparedProgram::Planned& planned = prepared.planned[index];
  return {params_, codec_, program, index, planned.plan, planned.safe, threads, &pads_, dram};
}

void Machine::Run(const Program& program, const PreparedProgram& prepared, int threads,
                  std::vector<uint8_t>* dram) {
  Check(program, *dram);
  for (size_t i = 0; i < program.instructions.size(); ++i) Step(Prepare(program, prepared, i, threads, dram));
}

void Machine::Record(const Program& program, const PreparedProgram& prepared, int threads,
                     std::vector<uint8_t>* dram, OperandRecorder* recorder) {
  Check(program, *dram);
  for (size_t i = 0; i < program.instructions.size() && !recorder->complete(); ++i) {
    const Execution execution = Prepare(program, prepared, i, threads, dram);
    const RecordResults record_results = recorder->Record(execution);
    Step(execution);
    if (record_results) record_results();
  }
}

}  // namespace tvm_vsq::sim
