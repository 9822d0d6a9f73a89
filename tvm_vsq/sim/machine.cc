#include "tvm_vsq/sim/machine.h"

#include "tvm_vsq/sim/declarations.h"
#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::sim {
Machine::Machine(const Params& params) : params_(params), codec_(params), pads_(params) {}

void Machine::Run(const Program& program, const PreparedProgram& prepared, int threads,
                  std::vector<uint8_t>* dram) {
  if (dram->size() != program.dram_bytes)
    Fail("DRAM has ", dram->size(), " bytes, expected ", program.dram_bytes);
  for (size_t i = 0; i < program.instructions.size(); ++i) {
    CountWork(1);
    const PreparedProgram::Planned& planned = prepared.planned[i];
    const Execution execution{params_, codec_, program, i, planned.plan, planned.safe, threads, &pads_, dram};
    std::visit([&](const auto& insn) { Execute(insn, execution); }, program.instructions[i].body);
  }
}

}  // namespace tvm_vsq::sim
